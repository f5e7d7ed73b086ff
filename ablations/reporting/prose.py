"""The report's paragraphs: results and method."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.stats.judgement import Unit


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


def _is_among_learned(summary: StudySummary, contrast: Contrast) -> bool:
    """Whether an expectation was settled although one arm has more failed runs than the other."""
    return contrast.expectation in {"as expected", "not as expected"} and bool(words.failed_runs(summary, contrast))


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


def how_to_read_forest(summary: StudySummary) -> str:
    """How to read the page's forest plot."""
    unit = summary.contrasts[0].judgement.unit if summary.contrasts else "seed"
    return (
        f"Diamond: mean. Thick bar: {words.interval_name(summary)}. Thin line: interval over all "
        f"{words.plural(summary.num_planned, 'planned contrast')} together. Dots: one {unit} each. Shaded: the margin of "
        f"±{words.plural(summary.decision.margin, 'point')}, within which a difference does not matter."
    )


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
