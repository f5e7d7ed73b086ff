"""`check`: every key, variant and profile of study files."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.commands.studies import open_study, recorded_ledgers, warn_of_lost_words
from ablations.errors import StudyFileError
from ablations.planning.checking import ANY_MACHINE, plan_study
from ablations.studyfile.loading import shipped_studies
from ablations.text import plural


def check(names: Sequence[str]) -> None:
    """Check study files, all that ship if none is named, and print a line per study.

    Raises:
        StudyFileError: some are wrong; the message has the problems of all of them.
    """
    wrong, right = [], []
    for name in names or [str(path) for path in shipped_studies()]:
        try:
            file = open_study(name)
            plans = [plan_study(file, profile, ANY_MACHINE) for profile in file.spec.profiles]
        except StudyFileError as error:
            wrong.append(str(error))
            continue
        trials = ", ".join(
            f"{plan.profile} {'at most ' if len(plan.looks) > 1 else ''}{plural(len(plan.cells), 'training')}"
            for plan in plans
        )
        right += plans
        print(f"{name}: ok: {plural(len(plans[0].variants), 'variant')}; {trials}")
    if right:
        warn_of_lost_words(right, recorded_ledgers(right[0].study, right[0].profile))
    if wrong:
        raise StudyFileError("\n".join(wrong))
