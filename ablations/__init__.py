"""Ablation studies of Network-in-Network CNNs: from a YAML file to an honest comparison report."""

from __future__ import annotations

from os import PathLike

# Here Python still looks beside a study first: for `typing`, too.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from ablations.study import Study

__version__ = "0.1.0"
"""The version, here only: the package's metadata reads it from this line."""


def load(study: str | PathLike[str]) -> Study:
    """A study to plan, and to read the results of.

    Args:
        study: a study file, or the name of a shipped study.

    Raises:
        ablations.errors.StudyFileError: there is none, or it breaks rules; the message has all of them, and says where.
        ablations.errors.UserError: another `nin` is in the way of the suite's.
    """
    _refuse_another_nin()
    from ablations.planning.checking import read_study
    from ablations.study import Study
    from ablations.studyfile.loading import find

    return Study(read_study(find(str(study))), str(study))


def _refuse_another_nin() -> None:
    """Refuse a file nin.py of the calling script's folder, where Python looks first."""
    from pathlib import Path

    import nin
    from ablations.errors import UserError

    file = nin.__file__ or next(iter(nin.__path__))
    if Path(file).parents[1] != Path(__file__).parents[1]:
        raise UserError(f"{file} has the name of a package that the suite needs, nin. Rename it.")
