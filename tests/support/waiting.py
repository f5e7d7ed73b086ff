"""The real recorder, with all records in MLflow when a call returns."""

from __future__ import annotations

import time

from ablations.tracking import recorder
from ablations.tracking.entries import Entry


class Recorder(recorder.Recorder):
    """Waits after each record until it is written, or the store fails."""

    def _put(self, entry: Entry) -> None:
        super()._put(entry)
        while self.waiting and self.trouble is None:
            time.sleep(0.001)
