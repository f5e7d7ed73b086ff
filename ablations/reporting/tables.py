"""StudySummary -> rows of the report's tables, in words: variants, costs, and the statistics of each contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import correlation
from typing import Literal

from ablations.analysis.summary import Contrast, StudySummary, VariantSummary
from ablations.reporting import looks, words
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK
from ablations.text import latency, mebibytes


@dataclass(frozen=True)
class VariantRow:
    """A row of the main table, in words."""

    name: str
    is_baseline: bool
    description: str
    changes: str
    """Changes against the base; empty if the description says the same."""
    params: str
    macs: str
    tuned: str
    accuracy: str
    num_learned: int
    troubles: str
    """Failed and missing seeds; empty if there are none."""
    difference: str
    interval: str
    against: str
    """`against one`: the reference, if it is not the baseline; else empty."""
    wins: str
    """Pairs won by the variant, of all pairs: `4 of 5`."""
    verdict: str
    look: str
    """`look 4 of 6, 18 seeds`; empty for the baseline, or if one look is planned."""
    tone: str
    sort_keys: Mapping[str, float | str]
    """By column: the sort key in the page's table; empty if there is no number."""


def main_table(summary: StudySummary) -> tuple[VariantRow, ...]:
    """One row per variant, baseline first."""
    contrasts = {contrast.variant: contrast for contrast in summary.contrasts}
    return tuple(_variant_row(summary, variant, contrasts.get(variant.name)) for variant in summary.variants)


def _variant_row(summary: StudySummary, variant: VariantSummary, contrast: Contrast | None) -> VariantRow:
    as_written = ", ".join(f"{key} = {value}" for key, value in variant.changes.items())
    troubles = [
        f"{len(seeds)} {what}"
        for seeds, what in ((variant.failed_seeds, "failed"), (variant.missing_seeds, "missing"))
        if seeds
    ]
    judgement = contrast.judgement if contrast else None
    mean = judgement.mean if judgement else None
    interval = judgement.interval if judgement else None
    return VariantRow(
        name=variant.name,
        is_baseline=variant.name == summary.baseline,
        description=variant.description,
        changes="" if as_written == variant.description else words.settings(variant.changes),
        params=f"{variant.params:,}",
        macs=f"{variant.macs:,}",
        tuned=words.tuned(variant) or words.DASH,
        accuracy=words.mean_and_sd(variant),
        num_learned=words.num_learned(variant),
        troubles=", ".join(troubles),
        difference=words.DASH if mean is None else words.points(mean, signed=True),
        interval="" if interval is None else words.span(interval, summary.decision.margin),
        against=f"against {contrast.versus}" if contrast and contrast.versus != summary.baseline else "",
        wins=f"{judgement.wins} of {judgement.num_pairs}" if judgement else words.DASH,
        verdict=words.verdict_and_failures(summary, contrast) if contrast else "baseline",
        look=looks.short_look(summary, contrast) if contrast and len(summary.looks) > 1 else "",
        tone=words.tone(contrast) if contrast else "baseline",
        sort_keys={
            "variant": variant.name,
            "params": variant.params,
            "macs": variant.macs,
            "accuracy": "" if variant.mean_accuracy_percent is None else variant.mean_accuracy_percent,
            "difference": "" if mean is None else mean,
        },
    )


@dataclass(frozen=True)
class CostRow:
    """The costs of a variant, in words."""

    name: str
    cells: Mapping[str, tuple[str, str]]
    """By heading: the number, and a note in small print. Every row has the same headings."""

    @property
    def variant(self) -> str:
        """Name of the variant."""
        return self.name


def cost_table(summary: StudySummary) -> tuple[CostRow, ...]:
    """The costs of each variant, baseline first; with speeds if any variant was measured."""
    measured = any(variant.measured for variant in summary.variants)
    versus = {contrast.variant: summary[contrast.versus] for contrast in summary.contrasts}
    return tuple(_costs(variant, versus.get(variant.name), with_speeds=measured) for variant in summary.variants)


def _costs(variant: VariantSummary, versus: VariantSummary | None, *, with_speeds: bool) -> CostRow:
    seen = variant.measured
    flops = f"{words.compact(2 * variant.macs)} FLOPs"
    cells = {
        "Params": (f"{variant.params:,}", _against(variant.params, versus.params) if versus else ""),
        "MACs": (f"{variant.macs:,}", f"{_against(variant.macs, versus.macs)}, {flops}" if versus else flops),
        "Saved activations": _bytes(variant, "saved_bytes"),
        "Training peak": _bytes(variant, "peak_training_bytes"),
        "Prediction peak": _bytes(variant, "peak_prediction_bytes"),
    }
    if with_speeds:
        nothing = (words.DASH, "")
        cells |= {
            "Training images/s": (f"{seen.train_images_per_second:,.0f}", "") if seen else nothing,
            "Latency, 1 image": _with_iqr(seen.latency_1_seconds, seen.latency_1_iqr_seconds) if seen else nothing,
            "Latency, 128 images": _with_iqr(seen.latency_128_seconds, seen.latency_128_iqr_seconds)
            if seen
            else nothing,
        }
    return CostRow(variant.name, cells)


def _against(count: int, reference: int) -> str:
    """Difference in percent of the reference: `+3.1 %`, `under 0.1 % less` or `the same`."""
    if count == reference:
        return "the same"
    percent = 100 * (count / reference - 1)
    if abs(percent) < 0.05:
        return f"under 0.1 % {'more' if percent > 0 else 'less'}"
    return f"{percent:+.1f} %".replace("-", words.MINUS)


def _bytes(
    variant: VariantSummary, kind: Literal["saved_bytes", "peak_training_bytes", "peak_prediction_bytes"]
) -> tuple[str, str]:
    """Memory as counted and, if known, as measured."""
    counted = words.DASH if variant.memory is None else mebibytes(getattr(variant.memory, kind))
    return counted, "" if variant.measured is None else f"measured {mebibytes(getattr(variant.measured, kind))}"


def _with_iqr(median: float, interquartile_range: float) -> tuple[str, str]:
    return latency(median), f"IQR {latency(interquartile_range)}"


@dataclass(frozen=True)
class DetailRow:
    """The statistics of one contrast, in words."""

    name: str
    variant: str
    cells: Mapping[str, str]
    """By heading. Every contrast has the same headings."""
    notes: str


def contrast_details(summary: StudySummary) -> tuple[DetailRow, ...]:
    """The statistics behind each verdict, in the order of the contrasts."""
    return tuple(_detail(summary, contrast) for contrast in summary.contrasts)


def _detail(summary: StudySummary, contrast: Contrast) -> DetailRow:
    judgement = contrast.judgement
    evidence, needed = judgement.evidence, judgement.seeds_needed
    wide = evidence.simultaneous_interval if evidence else None
    return DetailRow(
        name=f"{contrast.variant} {words.MINUS} {contrast.versus}",
        variant=contrast.variant,
        cells={
            "Wins, losses, ties": f"{judgement.wins}, {judgement.losses}, {judgement.ties}",
            "Chance of a win": "all tied"
            if judgement.num_pairs and judgement.ties == judgement.num_pairs
            else words.rate(judgement.probability_of_improvement),
            "Correlation of pairs": _correlation(summary, contrast),
            "sd of differences": words.DASH if judgement.sd is None else words.points(judgement.sd),
            f"Without one {judgement.unit}": _without_one(contrast),
            "Simultaneous interval": words.DASH if wide is None else words.span(wide, summary.decision.margin),
            "Basis": evidence.basis if evidence else words.DASH,
            "p, no difference": words.p_value(evidence.p_difference_adjusted if evidence else None),
            "p, not equivalent": words.p_value(evidence.p_equivalence_adjusted if evidence else None),
            "p, sign flips (least possible)": f"{words.p_value(evidence.p_sign_flip)} ({words.p_value(evidence.p_sign_flip_floor)})"
            if evidence
            else words.DASH,
            f"Fresh {'searches' if summary.searches else 'seeds'} needed": words.DASH
            if needed is None
            else "{} ({} to {})".format(
                *(judgement.num_pairs + each for each in (needed.num, needed.low, needed.high))
            ),
            "Did not learn": words.failures(summary[contrast.variant]),
            "p, failures": words.p_value(contrast.p_failures),
            "Bad runs": words.bad_runs(summary[contrast.variant]),
            "p, bad runs": words.p_value(contrast.p_bad),
        },
        notes="; ".join(judgement.notes),
    )


def _without_one(contrast: Contrast) -> str:
    """Range of the mean difference when each seed, or search, in turn is left out."""
    means = [each.mean for each in contrast.without_unit.values() if each.mean is not None]
    if not means:
        return words.DASH
    return f"{words.points(min(means), signed=True)} to {words.points(max(means), signed=True)}"


def _correlation(summary: StudySummary, contrast: Contrast) -> str:
    """Correlation of the two sides' accuracies: how much luck of a seed both share, and pairing removes."""
    sides = [summary[name].accuracy_percent for name in (contrast.variant, contrast.versus)]
    one, other = ([side[seed] for seed in contrast.differences] for side in sides)
    if len(one) < MIN_PAIRS_TO_LOOK or len(set(one)) == 1 or len(set(other)) == 1:
        return words.DASH
    return words.points(correlation(one, other), signed=True)
