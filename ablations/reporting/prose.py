"""The report's paragraphs: results and method."""

from __future__ import annotations

from collections.abc import Sequence

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.stats.judgement import Unit


def expectation(summary: StudySummary, contrast: Contrast) -> str:
    """The prediction on a contrast, stated before the first trial, and its outcome."""
    if contrast.expect is None:
        return "No prediction."
    if contrast.expect == "unsure":
        return "Predicted: unsure."
    among = " among runs that learned" if _is_among_learned(summary, contrast) else ""
    return f"Predicted: {contrast.expect}. Outcome: {contrast.expectation}{among}."


def rests_on(contrast: Contrast) -> str:
    """Seeds or searches that change the verdict when left out, with the verdict that remains; empty if there are none."""
    units: dict[str, list[str]] = {}
    for unit, judgement in contrast.without_unit.items():
        if judgement.verdict.word != contrast.judgement.verdict.word:
            units.setdefault(judgement.verdict.word, []).append(str(unit))
    of = contrast.judgement.unit
    return " ".join(
        f"Without {_any_one_of(those, len(contrast.without_unit), of)} the verdict would be “{word}”."
        for word, those in units.items()
    )


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
    "Accuracy is on the test split after the last epoch. ± is one standard deviation between the seeds that learned, not an error of "
    "the mean. MACs are multiply-accumulates of one image, forward; 1 MAC = 2 FLOPs."
)
"""How to read the table of variants."""


def main_table_note(summary: StudySummary) -> str:
    """How to read the table of variants of this study."""
    if len({words.num_learned(variant) for variant in summary.variants}) == 1:
        return MAIN_TABLE_NOTE
    return (
        f"{MAIN_TABLE_NOTE} Variants have different numbers of seeds, so their mean accuracies are no ranking. Each difference uses "
        "the pairs of its comparison."
    )


DETAILS_NOTE = (
    "The p-values of no difference and of no equivalence are corrected for all tests of the study. The others hold for each contrast "
    "alone. Without one seed or search: the smallest and the largest difference if one of them is left out."
)
"""How to read the table with the statistics of each contrast."""

WORDS_AND_INTERVALS = (
    "Verdicts follow the corrected tests, so they can differ slightly from the bars. An interval may reach beyond the margin under "
    "“equivalent” or “by less”: each side of the margin is tested separately. The interval of all contrasts together may hold 0 under “better” "
    "or “worse”: each verdict leaves more of the budget to the others."
)
"""Why a verdict and the intervals beside it may seem to disagree."""


def how_to_read_forest(summary: StudySummary) -> str:
    """How to read the page's forest plot."""
    unit = summary.contrasts[0].judgement.unit if summary.contrasts else "seed"
    return (
        f"Diamond: mean. Thick bar: {words.interval_name(summary)}. Thin line: interval over all "
        f"{words.plural(summary.num_planned, 'planned contrast')} together. Dots: one {unit} each. Shaded: the margin of "
        f"±{words.plural(summary.decision.margin, 'point')}, within which a difference does not matter. Verdicts follow the corrected tests, "
        "so they can differ slightly from the bars."
    )


def conditions(summary: StudySummary) -> str:
    """The conditions of all verdicts."""
    return (
        f"Differences are in percentage points, with a margin of ±{summary.decision.margin:g}. {risk(summary)} Every conclusion holds "
        f"{summary.scope}."
    )


def risk(summary: StudySummary) -> str:
    """The family-wise error rate, in two sentences."""
    if summary.unplanned is not None:
        return f"No verdict is given: {summary.unplanned}."
    looks = " and all planned looks" if len(summary.looks) > 1 else ""
    return (
        f"The family-wise error rate over {words.plural(summary.num_planned, 'planned contrast')}{looks} is "
        f"{100 * summary.decision.alpha:g} %. It can reach {150 * summary.decision.alpha:g} % only if true differences equal the margin almost "
        "exactly."
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
        "Params, MACs, FLOPs and memory are counted in closed form from the layers. MACs and FLOPs (2 per MAC) are of one image, forward. "
        f"Memory is for {batch}. Saved activations are kept from the forward to the backward pass. The training peak adds weights, gradients "
        "and optimizer state; the prediction peak has weights and live activations. Percentages compare a variant with its reference."
    )
    if any(variant.memory is None for variant in summary.variants):
        counted += (
            " A dash for memory: a package registers the network, and torch counted its operations layer by layer."
        )
    measured = next((variant.measured for variant in summary.variants if variant.measured), None)
    if measured is None:
        return f"{counted} Nothing is measured yet: a run measures each architecture once, after its last trial."
    threads = words.plural(measured.num_threads, "thread")
    return (
        f"{counted} Measured once per architecture, with nothing beside it: {measured.processor}, {threads}, torch "
        f"{measured.torch_version}. Measured peaks include the workspaces of torch's kernels. Images/s are of whole training steps. Latency is "
        "of a prediction of 1 or of 128 images, median and interquartile range after warm-ups, with the images on the device. Medians "
        "and their ratios have no confidence interval: all calls are of one sitting. Their range is no guide to another one."
    )
