"""The folders of a run, and the names of a trial's files in them. Nothing here loads torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ablations.trial import TrialSpec


@dataclass(frozen=True)
class Folders:
    """Where the workers of a run read and write.

    Attributes:
        data: the downloaded data sets.
        checkpoints: the states of unfinished trials.
        shared: images after reading and resizing; every worker maps the same file into its memory.
        weights: the final weights of confirmation trials; None keeps none.
    """

    data: Path
    checkpoints: Path
    shared: Path
    weights: Path | None = None

    def checkpoint_of(self, spec: TrialSpec) -> Path:
        """File with the state of a trial."""
        return self.checkpoints / f"{spec.id}.pt"

    def weights_of(self, spec: TrialSpec) -> Path | None:
        """File for the final weights of a trial; None keeps none."""
        return None if self.weights is None else self.weights / f"{spec.id}.pt"

    def remove_checkpoint(self, spec: TrialSpec) -> None:
        """Remove the state of a recorded trial, and any half-written copy of it."""
        for suffix in (".pt", ".part"):
            self.checkpoint_of(spec).with_suffix(suffix).unlink(missing_ok=True)
