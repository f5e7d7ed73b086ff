"""The step that would settle a study's open comparisons, with the commands to paste."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from ablations.analysis.summary import Contrast, StudySummary
from ablations.planning.planner import MAX_SEEDS
from ablations.text import plural


@dataclass(frozen=True)
class NextStep:
    """The next step of a study."""

    text: str
    commands: tuple[str, ...] = ()
    """Lines for a shell; empty if there is nothing to run."""


def next_step(summary: StudySummary) -> NextStep | None:
    """The step for comparisons without a word; None if every comparison has one.

    It never proposes to add seeds to a closed comparison: that would take the verdicts away.
    """
    if summary.unplanned is not None:
        return NextStep(
            f"No verdicts: {summary.unplanned}. They come back with the study file as it was, or on fresh seeds (first_seed)."
        )
    return _continued(summary) or _on_fresh_seeds(summary)


def _continued(summary: StudySummary) -> NextStep | None:
    """Go on with the trials that are planned."""
    num_missing = sum(len(variant.missing_seeds) for variant in summary.variants)
    waiting = [contrast.variant for contrast in summary.contrasts if not contrast.course.closed]
    if not num_missing and not waiting:
        return None
    retry = " --retry" if any(trouble.num_given_up for trouble in summary.troubles) else ""
    missing = f"{plural(num_missing, 'confirmation trial')} {'has' if num_missing == 1 else 'have'} no outcome yet."
    return NextStep(
        missing if num_missing else f"The next look is due for {', '.join(waiting)}.",
        (f"{_run(summary, _study(summary))}{retry}",),
    )


def _on_fresh_seeds(summary: StudySummary) -> NextStep | None:
    """Judge closed comparisons without a word once more, in a study on seeds that nothing has used."""
    undecided = [c for c in summary.contrasts if c.judgement.verdict.word == "undecided" and c.course.closed]
    if not undecided or not summary.seeds:
        return None
    names = f"Undecided: {', '.join(contrast.variant for contrast in undecided)}."
    most = max((each for each in map(_fresh_seeds, undecided) if each is not None), default=None)
    if most is None:
        units = "searches" if summary.searches else "seeds"
        return NextStep(f"{names} More {units} would not help; the report names the limit.")
    # Whole searches, with numbers of their own.
    each = len(summary.seeds) // summary.num_searches if summary.searches else 1
    most, searches = most * each, f"tuning.searches: {most} and " if summary.searches else ""
    first = max(summary.fresh_seed, summary.seeds[-1] + 1)
    about = f"{names} About {most} fresh seeds at one look would decide most such cases"
    if first + most > MAX_SEEDS:
        return NextStep(f"{about}, but fewer are left below {MAX_SEEDS:,}.")
    instead = " instead of looks" if len(summary.looks) > 1 else ""
    edits = f"first_seed: {first}; at profile {summary.profile}, {searches}seeds: {most}{instead}"
    study = _study(summary)
    copy = str(Path(study).with_name(f"{summary.study}_fresh.yaml"))
    return NextStep(
        f"{about}. Plan them in a copy of the study: {edits}.",
        (
            f"python -m ablations init {shlex.quote(copy)} --from {shlex.quote(study)}",
            f"# in {copy}, {edits}",
            _run(summary, copy),
        ),
    )


def _run(summary: StudySummary, file: str) -> str:
    return f"python -m ablations run {shlex.quote(file)} --profile {shlex.quote(summary.profile)}"


def _study(summary: StudySummary) -> str:
    """The study as a recorded command gave it: a file, or the name of a shipped one; its name if that is unknown."""
    recorded = summary.provenance.get("command")
    for command in recorded if isinstance(recorded, list) else [recorded]:
        found = re.match(r"python -m ablations run ([^\s'\"-]\S*)", str(command))
        if found:
            return found[1]
    return summary.study


def _fresh_seeds(contrast: Contrast) -> int | None:
    needed = contrast.judgement.seeds_needed
    return None if needed is None else contrast.judgement.num_pairs + needed.num
