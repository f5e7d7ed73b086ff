from __future__ import annotations

import pytest
import tiny
from training import until_ended

from ablations.execution.local import LocalExecutor
from ablations.execution.protocol import failed


def test_why_a_trial_failed_is_text_that_every_store_takes() -> None:
    result = failed(tiny.trial(), "error", "OSError: /data/\udcff\0\x1b[31m\nno such file: \u00fc")
    assert result.message == "OSError: /data/\\udcff\\x00\\x1b[31m\nno such file: \u00fc"


@pytest.mark.slow
def test_a_batch_that_must_stay_whole_is_told_what_would_fit(executor: LocalExecutor) -> None:
    plan = tiny.plan()
    executor.submit(plan.trial("two", "confirm", 0, {"model.channels": (1 << 36, 8, 8)}))
    result = until_ended(executor).result
    assert result is not None
    assert (result.status, result.reason) == ("failed", "out_of_memory")
    assert (
        "Batch normalisation needs the whole batch, so gradients cannot be accumulated over parts of it: set train.batch_size to 16, which takes "
        in (result.message or "")
    )
