"""Lines of the spool: they come back as they were, and lines of older versions are read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from ablations.tracking.entries import (
    DatasetSource,
    DescribedTrial,
    EndEntry,
    Entry,
    LabelsEntry,
    StudyEntry,
    TextEntry,
    TrialEntry,
    Weights,
    from_line,
    to_line,
)
from ablations.tracking.layout import Labels

PLAN = tiny.plan()
SPEC = PLAN.trial("two", "confirm", 0, {"train.lr": (0.1 + 0.2) / 3})
RESULT = replace(
    tiny.result(SPEC), test_labels=bytes(number % 10 for number in range(10_000)), validation_guess_percent=10.0
)
CONFIG = json.loads(json.dumps(SPEC.config.to_json()))
LABELS = Labels("two", "key", None, 3, {"train.lr": (0.1 + 0.2) / 3})
STUDY = StudyEntry(
    plan_id="id", text="ü: 1\n", plan=PLAN.to_json(), tags={"a": "b"}, dataset=DatasetSource("mnist", "sha256:1", "{}")
)
TRIAL = TrialEntry(
    trial_id=SPEC.id,
    name="two, confirm, seed 0",
    tags={"a": "b"},
    labels=LABELS,
    session="0" * 16,
    params={"train.lr": "0.1"},
    spec=replace(DescribedTrial.of(SPEC), config=CONFIG),
    status="FINISHED",
    started_ms=1,
    ended_ms=2,
    epochs=RESULT.epochs,
    result=RESULT,
    weights=Weights(Path("folder/a.pt"), {"model": {}}),
)


def values(line: bytes) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(line)
    return read


@pytest.mark.parametrize(
    "entry",
    [
        STUDY,
        TRIAL,
        replace(TRIAL, status="RUNNING", result=None, weights=None),
        LabelsEntry(trial_id=SPEC.id, labels=LABELS),
        TextEntry(file="a.json", text="line\nü", tags={}),
        EndEntry(status="KILLED", ended_ms=3),
    ],
    ids=lambda entry: entry.kind,
)
def test_an_entry_comes_back_as_it_was(entry: Entry) -> None:
    line = to_line(entry)
    assert line.count(b"\n") == 1
    assert next(iter(values(line).items())) == ("kind", entry.kind)
    assert from_line(line) == entry
    assert to_line(from_line(line)) == line


def test_losses_that_are_no_numbers_come_back() -> None:
    epochs = (tiny.record(1, train_loss=float("nan"), validation_loss=float("inf")),)
    (epoch,) = from_line(to_line(replace(TRIAL, epochs=epochs))).epochs  # type: ignore[union-attr]
    assert (str(epoch.train_loss), str(epoch.validation_loss)) == ("nan", "inf")


def test_a_trial_has_the_keys_that_it_has_always_had() -> None:
    line = values(to_line(TRIAL))
    assert list(line) == [
        *("kind", "trial_id", "name", "tags", "labels", "session", "params", "spec"),
        *("status", "started_ms", "ended_ms", "epochs", "result", "weights"),
    ]
    assert line["labels"] == {
        "ablations.variant": "two",
        "ablations.variant_key": "key",
        "ablations.number": "3",
        "ablations.hyperparameters": json.dumps(SPEC.hyperparameters),
    }
    assert line["result"] == RESULT.to_json() | {"epochs": line["epochs"]}
    assert line["weights"] == {"file": "folder/a.pt", "config": {"model": {}}}
    assert set(values(to_line(LabelsEntry(trial_id="1", labels=LABELS)))) == {"kind", "trial_id", "tags"}


def without(line: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in line.items() if key not in keys}


def test_lines_of_older_versions_are_read() -> None:
    study, trial = values(to_line(STUDY)), values(to_line(TRIAL))
    assert from_line(json.dumps(without(study, "dataset")).encode()) == replace(STUDY, dataset=None)
    later = ("reason", "num_attempts", "accumulated_parts", "test_labels", "validation_guess_percent")
    older = without(trial, "weights") | {"result": without(trial["result"], *later)}
    assert from_line(json.dumps(older).encode()) == replace(
        TRIAL, weights=None, result=replace(RESULT, test_labels=None, validation_guess_percent=None)
    )


def test_keys_of_later_versions_are_passed_over() -> None:
    assert from_line(json.dumps({**values(to_line(TRIAL)), "mood": "good"}).encode()) == TRIAL


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"12",
        b"[" * 100_000,
        b'{"kind": "and"}',
        b'{"kind": ["text"]}',
        b'{"file": "a", "text": "", "tags": {}}',
        b'{"kind": "end", "status": "FINISHED"}',
        b'{"kind": "end", "status": "FINISHED", "ended_ms": "soon"}',
        b'{"kind": "labels", "trial_id": "1", "tags": {}}',
        b'{"kind": "labels", "trial_id": "1", "tags": 1}',
    ],
)
def test_what_is_no_entry_is_refused(line: bytes) -> None:
    with pytest.raises(ValueError, match="not an entry of a spool"):
        from_line(line)


@pytest.mark.parametrize("key", sorted(set(values(to_line(TRIAL))) - {"weights"}))
def test_a_trial_that_lacks_a_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="not an entry of a spool"):
        from_line(json.dumps(without(values(to_line(TRIAL)), key)).encode())


@pytest.mark.parametrize("result", [1, "x", [], {}, {"test_correct": 1}, {**RESULT.to_json(), "num_attempts": "x"}])
def test_a_damaged_result_is_refused(result: object) -> None:
    with pytest.raises(ValueError, match="not an entry of a spool"):
        from_line(json.dumps({**values(to_line(TRIAL)), "result": result}).encode())
