"""Warnings: facts a reader of a report must know before the verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ablations.analysis.learning import learned, recorded_labels
from ablations.analysis.samples import DEGRADED_POINTS
from ablations.analysis.standing import Standing
from ablations.analysis.summary import Contrast, Trouble, VariantSummary
from ablations.datasets import DATASETS
from ablations.planning.plan import Plan
from ablations.stats.intervals import clopper_pearson
from ablations.text import plural
from ablations.trial import RecordedTrial


def changed_expectations(plan: Plan, standing: Standing) -> Iterable[str]:
    """A warning for each expectation changed since the plan was recorded; the report keeps the first one."""
    for variant in plan.variants:
        first = standing.expected.get(variant.name, variant.expect)
        if first != variant.expect:
            yield (
                f"`{variant.name}`: the prediction changed after the first look at results, from {first or 'none'} to "
                f"{variant.expect or 'none'}. The first one counts."
            )


def incomplete_aa(aa_seeds: Sequence[int], trials: Sequence[RecordedTrial], learned_percent: float) -> Iterable[str]:
    """Warn if trials of the A/A arm, at its current seeds, are missing or did not learn."""
    ran = [t for t in trials if t.phase == "confirm" and t.seed in aa_seeds and t.result.status != "failed"]
    if len(ran) < len(aa_seeds):
        yield f"A/A arm: {len(aa_seeds) - len(ran)} of {len(aa_seeds)} trials have no outcome yet."
    failed = sum(not learned(t.result, learned_percent) for t in ran)
    if failed:
        yield f"A/A arm: {failed} of {len(ran)} trials ran and did not learn."


def incomplete_examination(plan: Plan, trials: Mapping[str, Sequence[RecordedTrial]]) -> Iterable[str]:
    """Warn if trials of the cross-examination are missing.

    Args:
        plan: of the study.
        trials: by variant.
    """
    if not plan.cross_examine:
        return
    tuned = {
        name: next((t.hyperparameters for t in found if t.phase == "confirm"), None) for name, found in trials.items()
    }
    known = {name: values for name, values in tuned.items() if values is not None}
    if len(known) < len(tuned):
        return
    planned = plan.examinations(known)
    ran = {t.id for found in trials.values() for t in found if t.result.status != "failed"}
    num_missing = sum(spec.id not in ran for spec in planned)
    if num_missing:
        yield f"Cross-examination: {num_missing} of {len(planned)} trials have no outcome yet."


def unknown_labels(plan: Plan, trials: Sequence[RecordedTrial]) -> Iterable[str]:
    """Warn if it is unknown how frequent the classes of a package's data set are: the suite's own are about equal."""
    ran = [t.result for t in trials if t.phase == "confirm" and t.result.status == "finished"]
    known = (
        any(result.validation_guess_percent is not None for result in ran) or recorded_labels(plan, trials) is not None
    )
    if ran and not known and DATASETS[plan.data.name].read is not None:
        yield (
            "The labels of the images are not recorded. The accuracy from which a run has learned assumes equally frequent classes."
        )


def seeds_only(contrasts: Sequence[Contrast]) -> Iterable[str]:
    """Warn if an interval ignores the choice of the test images, because the right images are unknown."""
    for contrast in contrasts:
        evidence = contrast.judgement.evidence
        if evidence is not None and evidence.image_floor is None:
            yield (
                f"`{contrast.variant}`: the interval holds for new {evidence.basis} only, not for new images. The right test images of some "
                "seeds are not recorded."
            )


_WHAT_HAPPENED = {
    "diverged": "diverged",
    "crashed": "crashed their process",
    "hung": "hung",
    "out of memory": "ran out of memory",
    "error": "ended in an error",
    "failed": "failed",
}

MAX_NAMED = 5
"""At most this many failed trials are named; the rest are only counted."""


def troubles_of(trials: Sequence[RecordedTrial]) -> Iterator[Trouble]:
    """Count trials other than finished and pruned, with one record for each way they ended.

    Args:
        trials: all ended trials, finished ones included.
    """
    for outcome, what in _WHAT_HAPPENED.items():
        those = [t for t in trials if t.result.outcome == outcome]
        if not those:
            continue
        rate = clopper_pearson(len(those), len(trials))
        percent = f"95 % CI of the rate {100 * rate.lower:.1f} to {100 * rate.upper:.1f} %"
        counted = f"{len(those)} of {plural(len(trials), 'trial')} {what} ({percent})"
        num_given_up = sum(t.result.is_given_up for t in those)
        if outcome == "diverged":
            sentence = f"{counted}. This is an outcome: they are not tried again."
        else:
            left = {
                "Tried again by the next run": len(those) - num_given_up,
                "Given up, and tried again by `run --retry`": num_given_up,
            }
            fate = " ".join(f"{words}: {number}." for words, number in left.items() if number)
            sentence = f"{counted}. {fate} Messages: {_named(those)}."
        yield Trouble(outcome, len(those), num_given_up, rate, sentence)


def _named(failed: Sequence[RecordedTrial]) -> str:
    """Failed trials and their reasons. Trials of a search share one seed, so their number identifies them."""
    named = []
    for t in failed[:MAX_NAMED]:
        trial = "" if t.number is None else f"trial {t.number}, "
        attempts = plural(t.result.num_attempts, "attempt")
        named.append(f"{t.variant}, {t.phase}, {trial}seed {t.seed}, {attempts}: {t.result.message or 'no message'}")
    return "; ".join([*named, *([f"{len(failed) - MAX_NAMED} more"] if len(failed) > MAX_NAMED else [])])


def in_parts(trials: Iterable[RecordedTrial]) -> Iterator[str]:
    """Warn if trials used gradient accumulation."""
    those = [t for t in trials if t.result.accumulated_parts > 1 and t.result.status != "failed"]
    if those:
        which = "; ".join(
            f"{t.variant}, {t.phase}, seed {t.seed}: {t.result.accumulated_parts} parts" for t in those[:MAX_NAMED]
        )
        more = f"; {len(those) - MAX_NAMED} more" if len(those) > MAX_NAMED else ""
        yield (
            f"{plural(len(those), 'trial')} accumulated gradients over parts of each batch, for lack of memory. Steps are equal up to "
            f"rounding, and dropout draws other numbers. Trials: {which}{more}."
        )


def mixed_provenance(provenance: Mapping[str, Any]) -> Iterable[str]:
    """Warn about code without a commit, and about trials of differing commits, processors or versions."""
    if provenance.get("uncommitted_changes"):
        yield "Trainings ran from a checkout with uncommitted changes. The commit does not name the code that ran."
    for key in ("commit", "processor", "versions"):
        value = provenance.get(key)
        if isinstance(value, list) or (isinstance(value, Mapping) and any(isinstance(v, list) for v in value.values())):
            yield f"Trials were trained by runs that differ in {key}. See Provenance."


def variant_warnings(plan: Plan, variants: Sequence[VariantSummary]) -> Iterable[str]:
    """Warnings on each variant, baseline first, and on differences in tuning effort between them."""
    references = {plan[v.name].versus for v in variants[1:]}
    for v in variants:
        if v.name in references:
            yield from _no_room_above(plan, v)
        if v.missing_seeds:
            num_seeds = len(v.missing_seeds) + len(v.ran_seeds)
            yield f"`{v.name}`: {len(v.missing_seeds)} of {num_seeds} confirmation trials have no outcome yet."
        if v.failed_seeds:
            seeds = ", ".join(map(str, v.failed_seeds))
            yield f"`{v.name}`: {len(v.failed_seeds)} of {len(v.missing_seeds) + len(v.ran_seeds)} confirmation trials ran and did not learn (seed {seeds})."
        for key in v.at_edge:
            space = plan.search_space[key]
            chosen = [each[key] for each in v.all_tuned if key in each]
            at_edge = [value for value in chosen if space.at_edge(value)]
            times = f" in {len(at_edge)} of {plan.num_searches} searches" if plan.is_by_search else ""
            yield f"`{v.name}`: tuning chose `{key}` = {at_edge[0]:.4g}{times}, at the edge of its search space. Widen it."
        yield from _bad_runs(v)
        states = Counter(point.status for point in v.tuning)
        if states["diverged"] or states["failed"]:
            yield f"`{v.name}`: of {len(v.tuning)} tuning trials, {states['diverged']} diverged and {states['failed']} failed."
    # A pruner stops more trials of one variant than of another.
    if len({(v.num_tune_done, 0 if plan.tuning.pruner != "none" else v.num_tune_epochs) for v in variants}) > 1:
        counts = "; ".join(
            f"`{v.name}`: {plural(v.num_tune_done, 'trial')} in {plural(v.num_tune_epochs, 'epoch')}" for v in variants
        )
        yield f"Tuning effort is unequal. {counts}."


def _no_room_above(plan: Plan, reference: VariantSummary) -> Iterable[str]:
    highest, margin = reference.mean_accuracy_percent, plan.decision.margin
    if highest is not None and 100 - highest < margin:
        yield (
            f"`{reference.name}` reaches {highest:.2f} %, so nothing can be better by the margin of {plural(margin, 'point')}. Take a harder "
            "data set."
        )


def _bad_runs(variant: VariantSummary) -> Iterable[str]:
    if variant.bad_seeds and variant.bad_rate:
        rate = variant.bad_rate
        seeds = ", ".join(map(str, variant.bad_seeds))
        num_learned = len(variant.accuracy_percent.keys() - set(variant.failed_seeds))
        yield (
            f"`{variant.name}`: {len(variant.bad_seeds)} of {plural(num_learned, 'run')} that learned {'is' if len(variant.bad_seeds) == 1 else 'are'} bad (seed "
            f"{seeds}). A class is never predicted right, or accuracy is more than {DEGRADED_POINTS:g} points under the variant's median. "
            f"Bad runs are kept. 95 % CI of their rate: {100 * rate.lower:.0f} to {100 * rate.upper:.0f} %."
        )
