"""Study files as commands take them: found and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from ablations.commands.messages import warn
from ablations.errors import AblationsError, SpecError, UserError
from ablations.studyfile.loading import StudyFile, find
from ablations.text import in_words

if TYPE_CHECKING:
    from ablations.planning.frozen import Ledger
    from ablations.planning.plan import Plan
    from ablations.tracking.store import Store
    from ablations.trial import Machine


def open_study(name: str, also_known: Iterable[str] = ()) -> StudyFile:
    """Read a study file.

    Args:
        name: path or name of the study.
        also_known: other names that the command takes in its place, for the message.

    Raises:
        StudyFileError: there is no such file, or it breaks a rule.
    """
    from ablations.planning.checking import read_study

    return read_study(find(name, also_known))


def recorded_ledgers(study: str, profile: str, store: Store | None = None) -> list[Ledger]:
    """What the studies of a store planned and looked at, this one first.

    Nothing, if the store does not exist, cannot be used or does not answer.

    Args:
        study: its name.
        profile: of it.
        store: to read; None: the database that commands use here, if it is one.
    """
    with suppress(AblationsError, OSError):
        store = store or _database_here()
        # Loading MLflow takes seconds.
        if store is not None and (store.file is None or store.file.exists()):
            from ablations.tracking.ledgers import read_ledgers
            from ablations.tracking.store import Address

            return read_ledgers(Address(study, profile, store))
    return []


def warn_of_lost_words(plans: Iterable[Plan], ledgers: Sequence[Ledger]) -> None:
    """Warn of plans that cannot have the verdicts of their study, since its rules were changed after it had begun.

    Args:
        plans: of studies.
        ledgers: of the studies in the store.
    """
    if not ledgers:
        return
    from ablations.analysis.standing import lost_words, raised_correction, standing_of  # loads SciPy

    for plan in plans:
        standing = standing_of(plan, plan.contrasts(), ledgers)
        for lost in filter(None, (lost_words(plan, standing, ledgers), raised_correction(plan, standing))):
            warn(lost)


def _database_here() -> Store | None:
    from ablations.tracking.store import Store

    store = Store.at(None)
    return None if store.file is None else store


LONG_SECONDS = 12 * 3600
"""Time on CPU cores beyond which a plan is meant for a GPU."""


def warn_if_long(run_at: Callable[[str], str], file: StudyFile, plan: Plan, machine: Machine) -> None:
    """Warn of a plan that would take a CPU very long, and name the profile that takes the least time.

    Args:
        run_at: the command that runs the study at a profile.
        file: of the study.
        plan: at one of its profiles.
        machine: to train on.
    """
    from ablations.planning.duration import cpu_seconds, most_trainings
    from ablations.planning.planner import make_plan

    def longest(plan: Plan) -> float:
        return cpu_seconds(plan, most_trainings(plan), machine.num_workers)

    seconds = longest(plan)
    if machine.device != "cpu" or seconds < LONG_SECONDS:
        return
    others = {}
    for profile in file.spec.profiles:
        # A profile with errors is no way out.
        with suppress(SpecError):
            others[profile] = longest(make_plan(file.spec, profile, machine))
    shortest = min(others, key=others.__getitem__, default=plan.profile)
    at_most = "at most " if len(plan.looks) > 1 else ""
    told = (
        f"profile {plan.profile} ({plan.profile_description}) takes {at_most}{len(plan.cells):,} trainings, roughly {in_words(seconds)} on "
        f"{machine.description}, by counted costs. Use a GPU"
    )
    if shortest != plan.profile:
        told += f", or start profile {shortest}, which takes {at_most}roughly {in_words(others[shortest])}"
        # A study from a pipe cannot be run.
        told += f": {run_at(shortest)}" if file.is_kept else ""
    warn(told)


def choose_profile(file: StudyFile, profile: str | None, machine: Machine) -> tuple[str, str]:
    """The profile to run at, and the reason for it.

    Raises:
        UserError: the study has several profiles, and none for this machine.
    """
    profiles = file.spec.profiles
    if profile is not None:
        return profile, "asked for"
    fitting, why = (
        ("book", "a CUDA device is here") if machine.device == "cuda" else ("starter", "no CUDA device is here")
    )
    if fitting in profiles:
        return fitting, why
    if len(profiles) == 1:
        return next(iter(profiles)), "the only one"
    raise UserError(f"{file.spec.study} has no profile {fitting!r}; choose one with --profile: {', '.join(profiles)}")
