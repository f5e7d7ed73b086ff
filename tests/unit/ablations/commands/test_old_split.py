"""A study of the digits as they were split until November 2026: it is reported as recorded, and mixes with no new trial."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from builders import edited, planned
from commandline import Command
from stored import record_trial

from ablations.datasets import DATASETS
from ablations.planning import settings
from ablations.planning.plan import Plan
from ablations.tracking.store import Store
from ablations.trial import TrialResult

TEXT = edited(("name: synthetic", "name: digits"), ("seeds: 2", "seeds: 5"))

OLD = replace(
    DATASETS["digits"],
    num_train=1_437,
    num_test=360,
    checksum="sha256:87ff0c9e40dc7e2c",
    note="360 test images: one image is 0.28 percentage points.",
)


@pytest.fixture
def old(store: str, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """The plan of a study of the old split, whose confirmations are in the store; `wide` is right on one image more."""
    from waiting import Recorder

    Path("s.yaml").write_text(TEXT)
    with monkeypatch.context() as then:
        then.setattr(settings, "DATASETS", {**DATASETS, "digits": OLD})
        plan = planned(TEXT)
    recorder = Recorder(Store(store), plan, TEXT)
    for cell in plan.cells:
        if cell.phase == "confirm":
            spec = plan.trial(cell.variant, "confirm", cell.seed, {"train.lr": 0.05})
            right = np.arange(360) < 300 + cell.seed + (cell.variant == "wide")
            bits, percent = np.packbits(right).tobytes(), 100 * float(right.mean())
            record_trial(recorder, spec, TrialResult(spec.id, "finished", tiny.result(spec).epochs, percent, bits, 360))
    recorder.close(True)
    return plan


def test_a_study_of_the_old_split_is_reported_as_it_was_recorded(command: Command, old: Plan) -> None:
    code, out, err = command("report", "tiny", "--profile", "starter")
    assert (code, err) == (0, "")
    page = Path("reports/tiny/starter/report.md").read_text()
    assert OLD.note in page
    assert "1,000 test images" not in page
    summary = json.loads(Path("reports/tiny/starter/summary.json").read_text())
    assert summary["provenance"]["data_checksum"] == OLD.checksum
    assert summary["contrasts"]["wide"]["difference"] == pytest.approx(100 / 360)
    code, out, err = command("status", "tiny", "--profile", "starter")
    assert (code, err) == (0, "")
    assert "15 of 24 trainings done" in out


def test_no_trial_of_the_old_split_counts_for_the_new_one(old: Plan) -> None:
    new = planned(TEXT)
    assert new.num_test == 1_000
    assert not {variant.key for variant in old.variants} & {variant.key for variant in new.variants}
    ids = [{plan.trial("two", phase, 0, {}).id for phase in ("tune", "confirm")} for plan in (old, new)]
    assert not ids[0] & ids[1]
