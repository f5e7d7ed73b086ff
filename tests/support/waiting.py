"""The real recorder, with all records in MLflow when a call returns."""

from __future__ import annotations

import time
from typing import Any

from ablations.tracking import recorder
from ablations.tracking.spool import Entry


class Recorder(recorder.Recorder):
    """Waits after each record until it is written, or the store fails."""

    def _put(self, kind: str, **values: Any) -> Entry:
        entry = super()._put(kind, **values)
        while self.waiting and self.trouble is None:
            time.sleep(0.001)
        return entry
