"""The report's paragraphs: results and method."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK, require_margin
from ablations.stats.judgement import Unit, Verdict


def answer(summary: StudySummary) -> str:
    """The study's verdicts in one paragraph.

    Each verdict comes with its seeds, interval, margin and scope.
    """
    if not _has_answer(summary):
        return verdicts(summary)
    return " ".join([verdicts(summary), *_expectations(summary), *_gaps(summary)])


def verdicts(summary: StudySummary) -> str:
    """The answer's first sentence: the verdict on each variant.

    Raises:
        ValueError: a verdict lacks its pairs, mean, interval, margin or scope, as in `sentences.sentence`.
    """
    if not _has_answer(summary):
        if any(variant.missing_seeds for variant in summary.variants):
            return "There is no answer yet: no confirmation trial has learned."
        return "There is no answer: all confirmation trials ran, and none of them learned."
    reference = summary[summary.baseline]
    over = words.plural(words.num_learned(reference), "seed")
    statistic = "mean" if reference.sd_accuracy_percent is None else "mean ± sd"
    level = f"{words.mean_and_sd(reference)} % test accuracy, {statistic} of {over}"
    if not summary.contrasts:
        return f"{reference.name} reaches {level}; there is nothing to compare it with."
    _require_evidence(summary)
    groups: dict[str, dict[str, list[str]]] = {}
    for contrast in summary.contrasts:
        alike = groups.setdefault(contrast.versus, {}).setdefault(words.verdict(summary, contrast), [])
        evidence = filter(None, (words.effect(contrast, summary.decision.margin), words.failed_runs(summary, contrast)))
        alike.append(f"{contrast.variant} ({'; '.join(evidence)})")
    counts = sorted({contrast.judgement.num_pairs for contrast in summary.contrasts})
    unit = summary.contrasts[0].judgement.unit_words
    pairs = f"{counts[0]} to {words.plural(counts[-1], unit)}" if len(counts) > 1 else words.plural(counts[0], unit)
    has_learned = reference.mean_accuracy_percent is not None
    baseline = f"the baseline {reference.name}" + (f" ({level})" if has_learned else "")
    clauses = "; ".join(
        f"against {baseline if versus == reference.name else versus}, "
        + "; ".join(_clause(verdict, names) for verdict, names in alike.items())
        for versus, alike in groups.items()
    )
    return (
        f"A{clauses[1:]} (differences in percentage points with {words.interval_name(summary)}, from "
        f"{pairs}, margin ±{words.plural(summary.decision.margin, 'point')}; {summary.scope})."
    )


def _require_evidence(summary: StudySummary) -> None:
    require_margin(summary.decision.margin)
    if not summary.scope.strip():
        raise ValueError("a verdict needs its scope")
    for contrast in summary.contrasts:
        judgement = contrast.judgement
        has_evidence = None not in (judgement.mean, judgement.evidence) and judgement.num_pairs >= MIN_PAIRS_TO_LOOK
        if judgement.verdict is not Verdict.NO_VERDICT and not has_evidence:
            raise ValueError(f"the verdict on {contrast.variant} needs its mean, interval and number of pairs")


def _has_answer(summary: StudySummary) -> bool:
    return any(words.num_learned(variant) for variant in summary.variants)


def expectation(summary: StudySummary, contrast: Contrast) -> str:
    """The expectation of a contrast, stated before the first trial, and its outcome."""
    if contrast.expect is None:
        return "No expectation was stated."
    if contrast.expect == "unsure":
        return "Expected beforehand: unsure."
    among = " among runs that learned" if _is_among_learned(summary, contrast) else ""
    return f"Expected beforehand: {contrast.expect}. Outcome: {contrast.expectation}{among}."


def rests_on(contrast: Contrast) -> str:
    """Seeds or searches that change the verdict when left out, with the verdict that remains; empty if there are none."""
    units: dict[str, list[str]] = {}
    for unit, judgement in contrast.without_unit.items():
        if judgement.verdict.word != contrast.judgement.verdict.word:
            units.setdefault(judgement.verdict.word, []).append(str(unit))
    of = contrast.judgement.unit
    clauses = "; ".join(
        f"without {_any_one_of(those, len(contrast.without_unit), of)} the verdict would be “{word}”"
        for word, those in units.items()
    )
    return f"W{clauses[1:]}." if clauses else ""


def _any_one_of(units: Sequence[str], number: int, unit: Unit) -> str:
    if len(units) == 1:
        return f"{unit} {units[0]}"
    several = words.plural(number, unit)
    every = several.partition(" ")[2]
    return f"any one of its {several}" if len(units) == number else f"any one of {every} {words.listed(units)}"


MAX_OPEN_NAMES = 8
"""Largest number of variants to name that share a verdict without a claim; the answer counts them if there are more.

It names every variant with a claim (better, worse or equivalent).
"""


def _clause(verdict: str, names: Sequence[str]) -> str:
    word, _, more = verdict.partition(": ")
    is_claim = word.startswith(("better", "worse", "equivalent"))
    who = words.listed(names) if is_claim or len(names) <= MAX_OPEN_NAMES else f"{len(names)} variants (each below)"
    if verdict == Verdict.NO_VERDICT.words:
        return f"there is no verdict on {who}"
    return f"{who} {'is' if len(names) == 1 else 'are'} {word}" + (f" ({more})" if more else "")


def _expectations(summary: StudySummary) -> Iterator[str]:
    outcomes = Counter(
        f"{contrast.expectation}{' so far' if _is_unfinished(summary, contrast) else ''}"
        for contrast in summary.contrasts
        if contrast.expect not in {None, "unsure"}
    )
    if outcomes:
        parts = [f"{outcomes[key]} {text}" for key, text in _OUTCOMES.items() if outcomes[key]]
        among = sum(_is_among_learned(summary, contrast) for contrast in summary.contrasts)
        yield (
            f"Of {words.plural(outcomes.total(), 'expectation')} written down beforehand, {words.listed(parts)}"
            f"{f'; {among} of these among runs that learned only' if among else ''}."
        )


def _is_among_learned(summary: StudySummary, contrast: Contrast) -> bool:
    """Whether an expectation was settled although one arm has more failed runs than the other."""
    return contrast.expectation in {"as expected", "not as expected"} and bool(words.failed_runs(summary, contrast))


def _is_unfinished(summary: StudySummary, contrast: Contrast) -> bool:
    """Whether a planned trial may still settle an open expectation."""
    missing = (summary[name].missing_seeds for name in (contrast.variant, contrast.versus))
    return contrast.expectation == "open" and any(missing)


_OUTCOMES = {
    "as expected": "came true",
    "not as expected": "did not come true",
    "open": "could not be decided",
    "open so far": "cannot be judged yet",
}


def _gaps(summary: StudySummary) -> Iterator[str]:
    failed = sum(len(variant.failed_seeds) for variant in summary.variants)
    missing = sum(len(variant.missing_seeds) for variant in summary.variants)
    if failed:
        whose = words.listed(
            f"{len(variant.failed_seeds)} of {variant.name}" for variant in summary.variants if variant.failed_seeds
        )
        yield f"{words.plural(failed, 'confirmation trial')} ran and did not learn: {whose}."
    if missing:
        yield f"{words.plural(missing, 'confirmation trial')} {'has' if missing == 1 else 'have'} no outcome yet."


MAIN_TABLE_NOTE = (
    "Accuracy is of the test split after the last epoch; ± is one standard deviation between the seeds that learned, not "
    "an error of the mean. A difference is the variant minus what it is compared with, paired by seed. MACs are "
    "multiply-accumulates of one image, forward; 1 MAC = 2 FLOPs."
)
"""How to read the table of variants."""


def main_table_note(summary: StudySummary) -> str:
    """How to read the table of variants of this study."""
    if len({words.num_learned(variant) for variant in summary.variants}) == 1:
        return MAIN_TABLE_NOTE
    return (
        f"{MAIN_TABLE_NOTE} Variants have different numbers of seeds, so their mean accuracies are no ranking: each difference is of "
        "the pairs of its own contrast."
    )


DETAILS_NOTE = (
    "The p-values of no difference and of no equivalence are corrected for all tests of the study; those of sign flips and of failures "
    "are of each contrast by itself. Without one seed or search: the least and the greatest difference that leaving one of them out gives."
)
"""How to read the table with the statistics of each contrast."""

WORDS_AND_INTERVALS = (
    "Words go by tests and not by the intervals: a contrast's own interval may reach beyond the margin under "
    "“equivalent” or “by less”, since each side of the margin is tested by itself, and the interval of all contrasts "
    "together may hold 0 under “better” or “worse”, since each word that is found leaves the others more of the budget."
)
"""Why a verdict and the intervals beside it may seem to disagree."""


def conditions(summary: StudySummary) -> str:
    """The conditions of the verdicts, for tables outside of the report."""
    return (
        f"Differences are in percentage points, the margin is ±{summary.decision.margin:g}. {risk(summary)} Every "
        f"conclusion holds {summary.scope}."
    )


def risk(summary: StudySummary) -> str:
    """The chance of a wrong word, in a sentence."""
    if summary.unplanned is not None:
        return f"No verdict is given: {summary.unplanned}."
    return (
        f"The chance of any wrong word among {words.plural(summary.num_planned, 'planned contrast')} is held at "
        f"{100 * summary.decision.alpha:g} %, and can reach {150 * summary.decision.alpha:g} % only where true differences equal the "
        "margin almost exactly."
    )


_OPTIMIZERS = {"sgd": "SGD", "sgd_momentum": "SGD with momentum", "adamw": "AdamW"}
_DEVICES = {"cpu": "the CPU", "cuda": "a CUDA device"}


def costs_note(summary: StudySummary) -> str:
    """How the costs in their table were counted, and how and where they were measured."""
    settings = {
        f"a batch of {each.batch_size} images of {each.in_channels}x{each.size}x{each.size} in {each.precision}, "
        f"trained by {_OPTIMIZERS[each.optimizer]} on {_DEVICES[each.device]}"
        for each in (variant.workload for variant in summary.variants)
    }
    batch = settings.pop() if len(settings) == 1 else "each variant's own batch, precision and optimizer (costs.csv)"
    counted = (
        "Params, MACs and FLOPs (2 a MAC, of one image, forward) and memory are counted in closed form from the layers; "
        f"memory for {batch}. Saved activations are what is kept from the forward to the backward pass; the training peak "
        "holds weights, gradients and optimizer state too, the prediction peak weights and live activations. Percentages are "
        "against what a variant is compared with."
    )
    if any(variant.memory is None for variant in summary.variants):
        counted += " Where there is a dash for memory, a package registers the network: torch counted its operations, layer by layer."
    measured = next((variant.measured for variant in summary.variants if variant.measured), None)
    if measured is None:
        return f"{counted} Nothing is measured yet: a run does that once for each architecture, after its last trial."
    threads = words.plural(measured.num_threads, "thread")
    return (
        f"{counted} Measured once for each architecture, with nothing beside it: {measured.processor}, {threads}, torch "
        f"{measured.torch_version}. Measured peaks include the workspaces of torch's kernels. Images a second are of "
        "whole training steps; latency is of a whole prediction of 1 or of 128 images, median and interquartile range "
        "after warm-ups; images are on the device already. Medians and their ratios have no confidence interval: all calls "
        "are of one sitting and share the state that the machine was in, so the range between them is no guide to another one."
    )
