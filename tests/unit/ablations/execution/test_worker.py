from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from training import until_ended

from ablations.errors import SetupError
from ablations.execution.local import LocalExecutor
from ablations.trial import Machine

pytestmark = pytest.mark.slow


def test_a_damaged_checkpoint_is_told_to_people(tmp_path: Path) -> None:
    told: list[str] = []
    machine = Machine("cpu", bf16=False, num_workers=1, description="1 CPU core")
    executor = LocalExecutor(machine, tmp_path / "data", tmp_path, told.append)
    spec = tiny.trial()
    (tmp_path / f"{spec.id}.pt").write_bytes(b"not a checkpoint")
    try:
        executor.submit(spec)
        result = until_ended(executor).result
    finally:
        executor.close()
    assert result is not None
    assert result.status == "finished"
    assert [text.split(";")[1] for text in told] == [" its trial starts from the beginning: two, seed 0"]


def test_absent_data_ends_the_study_not_the_trial(executor: LocalExecutor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")  # an address that refuses: there is no network
    spec = tiny.trial(data__name="fashion_mnist", data__resize=None, model__preset="nin_small")
    executor.submit(spec)
    with pytest.raises(SetupError, match=r"Fashion-MNIST is not in .*data and could not be downloaded"):
        until_ended(executor)
