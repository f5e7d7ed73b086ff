"""The report's tables: rows of plain numbers for CSV, and the main table's cells in words."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from statistics import correlation
from typing import Any, Literal

from ablations.analysis import ClassDifference, Contrast, StudySummary, VariantSummary
from ablations.costs import Measurement
from ablations.reporting import words
from ablations.reporting.summary import WORKLOAD_KEYS
from ablations.stats import MIN_PAIRS_TO_LOOK, Interval
from ablations.units import latency, mebibytes
from nin.memory import Memory

Row = Mapping[str, Any]


@dataclass(frozen=True)
class VariantRow:
    """A row of the main table, in words."""

    name: str
    is_baseline: bool
    description: str
    changes: str
    """Configuration against the base; empty where the description says just that."""
    params: str
    macs: str
    tuned: str
    accuracy: str
    num_learned: int
    troubles: str
    """Failed and missing seeds; empty where there are none."""
    difference: str
    interval: str
    against: str
    """`against one`, where that is not the baseline; else empty."""
    wins: str
    """Pairs in which the variant is better, of all pairs."""
    verdict: str
    tone: str
    sort_keys: Mapping[str, float | str]
    """By column: what the page's table sorts by; empty where there is no number."""


def main_table(summary: StudySummary) -> tuple[VariantRow, ...]:
    """One row a variant, baseline first."""
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
        tuned=words.settings(variant.tuned, digits=3) or words.DASH,
        accuracy=words.mean_and_sd(variant),
        num_learned=words.num_learned(variant),
        troubles=", ".join(troubles),
        difference=words.DASH if mean is None else words.points(mean, signed=True),
        interval="" if interval is None else words.span(interval, summary.decision.margin),
        against=f"against {contrast.versus}" if contrast and contrast.versus != summary.baseline else "",
        wins=f"{judgement.wins} of {judgement.num_pairs}" if judgement else words.DASH,
        verdict=words.verdict_and_failures(summary, contrast) if contrast else "baseline",
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
    """What a variant costs, in words."""

    name: str
    cells: Mapping[str, tuple[str, str]]
    """By heading: the figure, and what is to be added to it in small print; every row has the same headings."""


def cost_table(summary: StudySummary) -> tuple[CostRow, ...]:
    """What each variant costs, baseline first; speeds only where something was measured."""
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
    """How much more or less, in percent of what it is compared with."""
    if count == reference:
        return "the same"
    percent = 100 * (count / reference - 1)
    if abs(percent) < 0.05:
        return f"under 0.1 % {'more' if percent > 0 else 'less'}"
    return f"{percent:+.1f} %".replace("-", words.MINUS)


def _bytes(
    variant: VariantSummary, kind: Literal["saved_bytes", "peak_training_bytes", "peak_prediction_bytes"]
) -> tuple[str, str]:
    """Memory as it is counted, and as it was measured."""
    counted = words.DASH if variant.memory is None else mebibytes(getattr(variant.memory, kind))
    return counted, "" if variant.measured is None else f"measured {mebibytes(getattr(variant.measured, kind))}"


def _with_iqr(median: float, interquartile_range: float) -> tuple[str, str]:
    return latency(median), f"IQR {latency(interquartile_range)}"


@dataclass(frozen=True)
class DetailRow:
    """The statistics of one contrast, in words."""

    name: str
    cells: Mapping[str, str]
    """By heading; the same headings for every contrast."""
    notes: str


def contrast_details(summary: StudySummary) -> tuple[DetailRow, ...]:
    """What stands behind each verdict, in the order of the contrasts."""
    return tuple(_detail(summary, contrast) for contrast in summary.contrasts)


def _detail(summary: StudySummary, contrast: Contrast) -> DetailRow:
    judgement = contrast.judgement
    wide, needed = judgement.simultaneous_interval, judgement.seeds_needed
    return DetailRow(
        name=f"{contrast.variant} {words.MINUS} {contrast.versus}",
        cells={
            "Wins, losses, ties": f"{judgement.wins}, {judgement.losses}, {judgement.ties}",
            "Chance of a win": "all tied"
            if judgement.num_pairs and judgement.ties == judgement.num_pairs
            else words.rate(judgement.probability_of_improvement),
            "Correlation of pairs": _correlation(summary, contrast),
            "sd of differences": words.DASH if judgement.sd is None else words.points(judgement.sd),
            "Without one seed": _without_one_seed(contrast),
            "Simultaneous interval": words.DASH if wide is None else words.span(wide, summary.decision.margin),
            "Basis": judgement.basis or words.DASH,
            "p, no difference": words.p_value(judgement.p_difference_adjusted),
            "p, not equivalent": words.p_value(judgement.p_equivalence_adjusted),
            "p, sign flips (least possible)": words.DASH
            if judgement.p_sign_flip is None
            else f"{words.p_value(judgement.p_sign_flip)} ({words.p_value(judgement.p_sign_flip_floor)})",
            "More seeds needed": words.DASH if needed is None else f"{needed.num} ({needed.low} to {needed.high})",
            "Did not learn": words.failures(summary[contrast.variant]),
            "p, failures": words.p_value(contrast.p_failures),
        },
        notes="; ".join(judgement.notes),
    )


def _without_one_seed(contrast: Contrast) -> str:
    """Between which two values the mean difference lies, whichever seed is left out."""
    means = [each.mean for each in contrast.without_seed.values() if each.mean is not None]
    if not means:
        return words.DASH
    return f"{words.points(min(means), signed=True)} to {words.points(max(means), signed=True)}"


def _correlation(summary: StudySummary, contrast: Contrast) -> str:
    """Of the two sides' accuracies over the pairs: how much of a seed's luck both share, and pairing takes away."""
    sides = [summary[name].accuracy_percent for name in (contrast.variant, contrast.versus)]
    one, other = ([side[seed] for seed in contrast.differences] for side in sides)
    if len(one) < MIN_PAIRS_TO_LOOK or len(set(one)) == 1 or len(set(other)) == 1:
        return words.DASH
    return words.points(correlation(one, other), signed=True)


def csv_tables(summary: StudySummary) -> dict[str, str]:
    """File name -> CSV text, in full precision; empty cells where there is no number."""
    return {
        "variants.csv": _csv([_variant(variant) for variant in summary.variants]),
        "costs.csv": _csv([_cost_numbers(variant) for variant in summary.variants]),
        "contrasts.csv": _csv([_contrast(contrast) for contrast in summary.contrasts], CONTRAST_COLUMNS),
        "classes.csv": _csv(
            [_class(contrast, each) for contrast in summary.contrasts for each in contrast.class_differences],
            CLASS_COLUMNS,
        ),
        "without_one_seed.csv": _csv(
            [_without_seed(contrast, seed) for contrast in summary.contrasts for seed in contrast.without_seed],
            WITHOUT_SEED_COLUMNS,
        ),
        "accuracy_by_seed.csv": _csv(_accuracies(summary), ACCURACY_COLUMNS),
        "tuning.csv": _csv(_tuning(summary), [*TUNING_COLUMNS, *summary.search_space]),
    }


ACCURACY_COLUMNS = ("variant", "seed", "outcome", "test_accuracy_percent", "run_id")
CLASS_COLUMNS = ("variant", "versus", "class", "num_images", "difference", "lower", "upper", "p_adjusted")
WITHOUT_SEED_COLUMNS = ("variant", "versus", "seed", "difference", "lower", "upper", "verdict")
TUNING_COLUMNS = ("variant", "number", "seed", "role", "status", "validation_accuracy_percent")
CONTRAST_COLUMNS = (
    "variant",
    "versus",
    "expect",
    "expectation",
    "num_pairs",
    "difference",
    "sd",
    "lower",
    "upper",
    "level",
    "simultaneous_lower",
    "simultaneous_upper",
    "basis",
    "p_difference",
    "p_difference_adjusted",
    "p_equivalence",
    "p_equivalence_adjusted",
    "p_sign_flip",
    "wins",
    "losses",
    "ties",
    "probability_of_improvement_lower",
    "probability_of_improvement_upper",
    "p_failures",
    "verdict",
    "sentence",
)


def _variant(variant: VariantSummary) -> Row:
    return {
        "variant": variant.name,
        "description": variant.description,
        "changes": _json(variant.changes),
        "expect": variant.expect,
        "family": variant.family,
        "params": variant.params,
        "macs": variant.macs,
        "activations": variant.activations,
        "tuned": _json(variant.tuned),
        "mean_accuracy_percent": variant.mean_accuracy_percent,
        "sd_accuracy_percent": variant.sd_accuracy_percent,
        "num_learned": words.num_learned(variant),
        "num_failed": len(variant.failed_seeds),
        "failure_rate_lower": None if variant.failure_rate is None else variant.failure_rate.lower,
        "failure_rate_upper": None if variant.failure_rate is None else variant.failure_rate.upper,
        "num_missing": len(variant.missing_seeds),
        "num_tune_done": variant.num_tune_done,
        "num_tune_planned": variant.num_tune_planned,
        "num_tune_epochs": variant.num_tune_epochs,
        "trial_seconds": variant.trial_seconds,
        "train_images_per_second": variant.train_images_per_second,
    }


def _cost_numbers(variant: VariantSummary) -> Row:
    measured = {f"measured_{field.name}": None for field in fields(Measurement)}
    if variant.measured is not None:
        measured = {f"measured_{name}": value for name, value in asdict(variant.measured).items()}
    return {
        "variant": variant.name,
        "params": variant.params,
        "macs": variant.macs,
        "flops": 2 * variant.macs,
        "activations": variant.activations,
        **{key: getattr(variant.workload, key) for key in WORKLOAD_KEYS},
        **({field.name: None for field in fields(Memory)} if variant.memory is None else asdict(variant.memory)),
        **measured,
    }


def _contrast(contrast: Contrast) -> Row:
    judgement = contrast.judgement
    return {
        "variant": contrast.variant,
        "versus": contrast.versus,
        "expect": contrast.expect,
        "expectation": contrast.expectation,
        "num_pairs": judgement.num_pairs,
        "difference": judgement.mean,
        "sd": judgement.sd,
        "level": None if judgement.interval is None else judgement.interval.level,
        **_ends("", judgement.interval),
        **_ends("simultaneous_", judgement.simultaneous_interval),
        "basis": judgement.basis,
        "p_difference": judgement.p_difference,
        "p_difference_adjusted": judgement.p_difference_adjusted,
        "p_equivalence": judgement.p_equivalence,
        "p_equivalence_adjusted": judgement.p_equivalence_adjusted,
        "p_sign_flip": judgement.p_sign_flip,
        "wins": judgement.wins,
        "losses": judgement.losses,
        "ties": judgement.ties,
        **_ends("probability_of_improvement_", judgement.probability_of_improvement),
        "p_failures": contrast.p_failures,
        "verdict": judgement.verdict.value,
        "sentence": contrast.sentence,
    }


def _class(contrast: Contrast, each: ClassDifference) -> Row:
    return {
        "variant": contrast.variant,
        "versus": contrast.versus,
        "class": each.name,
        "num_images": each.num_images,
        "difference": each.mean,
        **_ends("", each.interval),
        "p_adjusted": each.p_adjusted,
    }


def _without_seed(contrast: Contrast, seed: int) -> Row:
    judgement = contrast.without_seed[seed]
    return {
        "variant": contrast.variant,
        "versus": contrast.versus,
        "seed": seed,
        "difference": judgement.mean,
        **_ends("", judgement.interval),
        "verdict": judgement.verdict.value,
    }


def _ends(prefix: str, interval: Interval | None) -> Row:
    return {} if interval is None else {f"{prefix}lower": interval.lower, f"{prefix}upper": interval.upper}


def _accuracies(summary: StudySummary) -> list[Row]:
    rows: list[Row] = []
    for variant in summary.variants:
        for seed in sorted({*variant.accuracy_percent, *variant.failed_seeds, *variant.missing_seeds}):
            missing, failed = seed in variant.missing_seeds, seed in variant.failed_seeds
            rows.append(
                {
                    "variant": variant.name,
                    "seed": seed,
                    "outcome": "missing" if missing else "did not learn" if failed else "learned",
                    "test_accuracy_percent": variant.accuracy_percent.get(seed),
                    "run_id": variant.run_ids.get(seed),
                }
            )
    return rows


def _tuning(summary: StudySummary) -> list[Row]:
    return [
        {
            "variant": variant.name,
            "number": point.number,
            "seed": point.seed,
            "role": point.role,
            "status": point.status,
            "validation_accuracy_percent": point.validation_accuracy_percent,
            **point.hyperparameters,
        }
        for variant in summary.variants
        for point in variant.tuning
    ]


def _json(values: Mapping[str, Any]) -> str:
    return json.dumps(dict(values), sort_keys=True, default=str)


def _csv(rows: Sequence[Row], columns: Sequence[str] | None = None) -> str:
    buffer = io.StringIO()
    names = columns or (list(rows[0]) if rows else [])
    writer = csv.DictWriter(buffer, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
