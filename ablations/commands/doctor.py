"""`doctor`: obstacles to a run on this machine."""

from __future__ import annotations

from pathlib import Path

from ablations.doctor import examine
from ablations.errors import UserError
from ablations.tracking.store import Store


def doctor(store: Store, data_dir: Path, output: Path) -> None:
    """Print each finding with its remedy.

    Args:
        store: for the trials.
        data_dir: folder of the data sets.
        output: folder of the reports.

    Raises:
        UserError: a problem stops every run.
    """
    num_problems = 0
    for finding in examine(data_dir, store, output):
        num_problems += finding.level == "problem"
        print(
            f"{finding.level:8} {finding.text}",
            *([finding.remedy] if finding.remedy else []),
            sep=f"\n{'':9}",
            flush=True,
        )
    if num_problems:
        raise UserError(f"{num_problems} of these must be fixed before a study can run")
    print(f"a study can run: python -m ablations run one_by_one --profile starter{store.option}")
