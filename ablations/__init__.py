"""Ablation studies of Network-in-Network CNNs: from a YAML file to an honest comparison report."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING

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
    """
    from ablations.planning.checking import read_study
    from ablations.study import Study
    from ablations.studyfile.loading import find

    return Study(read_study(find(str(study))))
