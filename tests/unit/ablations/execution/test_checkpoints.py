from __future__ import annotations

import hashlib
import io
import resource
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from training import ADAMW, SGD, run

from ablations.execution import train
from ablations.execution.checkpoints import CheckpointWarning
from ablations.execution.data import DataSource
from ablations.execution.train import evaluate, run_trial
from nin.images import Input
from nin.model import build, load_weights


@pytest.mark.parametrize("recipe", [SGD, ADAMW], ids=["sgd", "adamw"])
@pytest.mark.parametrize("pause_after", [1, 2, 3])
def test_a_trial_paused_and_resumed_equals_one_that_was_not(
    recipe: dict[str, Any], pause_after: int, source: DataSource, tmp_path: Path
) -> None:
    spec, checkpoint = tiny.trial(**recipe), tmp_path / "trial.pt"
    whole = run(spec, source)
    assert run(spec, source, checkpoint, orders={pause_after: "pause"}) is None
    resumed = run(spec, source, checkpoint)
    assert tiny.timeless(resumed) == tiny.timeless(whole)
    assert resumed is not None
    assert resumed.test_correct is not None
    # Until its result is recorded, a death must not cost the whole trial.
    assert list(tmp_path.iterdir()) == [checkpoint]


def test_a_resumed_trial_tells_its_earlier_epochs_again(source: DataSource, tmp_path: Path) -> None:
    spec, checkpoint = tiny.trial(), tmp_path / "trial.pt"
    training = run_trial(spec, source, checkpoint)
    told = [next(training), training.send("go")]
    with pytest.raises(StopIteration):
        training.send("pause")
    again = run_trial(spec, source, checkpoint)
    assert [next(again), again.send("go")] == told
    assert again.send("go").epoch == 3


def test_a_trial_that_was_paused_in_parts_goes_on_in_parts(source: DataSource, tmp_path: Path) -> None:
    spec, checkpoint = tiny.trial(model__normalization="none"), tmp_path / "trial.pt"
    assert run(replace(spec, accumulated_parts=4), source, checkpoint, orders={1: "pause"}) is None
    resumed = run(spec, source, checkpoint)
    whole = run(replace(spec, accumulated_parts=4), source)
    assert resumed is not None
    assert resumed.accumulated_parts == 4
    assert tiny.timeless(resumed) == tiny.timeless(whole)
    # One that went on in more parts than it began with says the most.
    run(spec, source, checkpoint.with_stem("other"), orders={1: "pause"})
    more = run(replace(spec, accumulated_parts=2), source, checkpoint.with_stem("other"))
    assert more is not None
    assert more.accumulated_parts == 2


def test_a_trial_killed_between_epochs_goes_on_from_its_last_checkpoint(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", 0.0)
    spec, checkpoint = tiny.trial(**SGD), tmp_path / "trial.pt"
    training = run_trial(spec, source, checkpoint)
    next(training)
    training.send("go")
    training.close()
    assert checkpoint.exists()
    assert tiny.timeless(run(spec, source, checkpoint)) == tiny.timeless(run(spec, source))


def flipped(whole: bytes) -> bytes:
    """One bit of a weight is another one: a whole file for all that torch can tell."""
    place = len(whole) // 2
    return whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]


def changed(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    """A whole checkpoint with other content, as another version of the suite or of a registered network may have written it."""

    def damage(whole: bytes) -> bytes:
        values = torch.load(io.BytesIO(whole[32:]), weights_only=True)
        change(values)
        buffer = io.BytesIO()
        torch.save(values, buffer)
        return hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue()

    return damage


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-200],
        lambda whole: b"",
        lambda whole: b"\x80\x02garbage",
        flipped,
        changed(lambda values: values.update(trial_id="of another trial")),
        changed(lambda values: values.pop("smoothed_loss")),
        changed(lambda values: values["model"].popitem()),
        changed(lambda values: values["optimizer"]["param_groups"].clear()),
        changed(lambda values: values["epochs"][0].pop("train_loss")),
    ],
)
def test_a_damaged_checkpoint_costs_time_and_nothing_else(damage: Any, source: DataSource, tmp_path: Path) -> None:
    spec, checkpoint = tiny.trial(), tmp_path / "trial.pt"
    run(spec, source, checkpoint, orders={1: "pause"})
    checkpoint.write_bytes(damage(checkpoint.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged or from another version .*; its trial starts from the beginning"):
        result = run(spec, source, checkpoint)
    assert tiny.timeless(result) == tiny.timeless(run(spec, source))


def test_a_disk_that_is_full_costs_a_checkpoint_and_not_the_trial(
    source: DataSource, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train, "CHECKPOINT_SECONDS", -1.0)
    spec, checkpoint = tiny.trial(), tmp_path / "trial.pt"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.warns(
            CheckpointWarning,
            match=r"the checkpoint of two, seed 0, after epoch \d could not be written to .*: File too large",
        ):
            result = run(spec, source, checkpoint)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert tiny.timeless(result) == tiny.timeless(run(spec, source))
    assert not list(tmp_path.iterdir())


def test_a_checkpoint_runs_no_code(source: DataSource, tmp_path: Path) -> None:
    trap, checkpoint = tmp_path / "sprung", tmp_path / "trial.pt"
    buffer = io.BytesIO()
    torch.save({"trial_id": _Touch(trap)}, buffer)
    checkpoint.write_bytes(hashlib.sha256(buffer.getvalue()).digest() + buffer.getvalue())
    with pytest.warns(UserWarning, match="damaged"):
        run(tiny.trial(), source, checkpoint)
    assert not trap.exists()


class _Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[Path]]:
        return (Path.touch, (self.path,))


def test_a_trial_without_a_checkpoint_leaves_no_file(source: DataSource, tmp_path: Path) -> None:
    assert run(tiny.trial(), source, None, orders={1: "pause"}) is None
    assert not list(tmp_path.iterdir())


def test_the_weights_of_a_confirmation_are_left_where_they_are_asked_for(source: DataSource, tmp_path: Path) -> None:
    spec, weights = tiny.trial(), tmp_path / "weights" / "trial.pt"
    result = tiny.finish(run_trial(spec, source, None, weights))
    assert [path.name for path in weights.parent.iterdir()] == ["trial.pt"]
    model = build(spec.config.model, Input(in_channels=1, size=16, num_classes=4))
    load_weights(model, weights)
    _, correct = evaluate(model, source.test(spec), 16, spec.config.train)
    assert result is not None
    assert 100 * correct.mean() == result.test_accuracy_percent
    tiny.finish(run_trial(tiny.trial(phase="tune"), source, None, tmp_path / "tune.pt"))
    assert not (tmp_path / "tune.pt").exists()


def test_weights_that_cannot_be_kept_cost_no_trial(source: DataSource, tmp_path: Path) -> None:
    (tmp_path / "weights").write_text("a file where the folder should be")
    with pytest.warns(CheckpointWarning, match="the weights of two, seed 0, could not be written to"):
        result = tiny.finish(run_trial(tiny.trial(), source, None, tmp_path / "weights" / "trial.pt"))
    assert result is not None
    assert result.status == "finished"
