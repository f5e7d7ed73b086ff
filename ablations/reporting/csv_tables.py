"""StudySummary -> the report's tables as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from ablations.analysis.summary import ClassDifference, Contrast, StudySummary, VariantSummary
from ablations.costs import Measurement
from ablations.reporting import words
from ablations.reporting.summary_json import WORKLOAD_KEYS
from ablations.stats.intervals import CrossedVariance, Interval
from ablations.stats.judgement import Evidence
from nin.memory import Memory

Row = Mapping[str, Any]

ACCURACY_COLUMNS = ("variant", "seed", "search", "outcome", "test_accuracy_percent", "run_id")
CLASS_COLUMNS = ("variant", "versus", "class", "num_images", "difference", "lower", "upper", "p_adjusted")
WITHOUT_UNIT_COLUMNS = ("variant", "versus", "unit", "number", "difference", "lower", "upper", "verdict")
TUNING_COLUMNS = ("variant", "search", "number", "seed", "role", "status", "validation_accuracy_percent")
CONTRAST_COLUMNS = (
    "variant",
    "versus",
    "expect",
    "expectation",
    "margin",
    "num_comparisons",
    "look",
    "look_alpha",
    "unit",
    "num_pairs",
    "difference",
    "sd",
    "reseed_sd",
    "retune_sd",
    "lower",
    "upper",
    "level",
    "simultaneous_lower",
    "simultaneous_upper",
    "basis",
    "variance_images",
    "variance_units",
    "variance_flips",
    "num_images",
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
    "p_bad",
    "verdict",
    "paragraph",
)


def csv_tables(summary: StudySummary) -> dict[str, str]:
    """File name -> CSV text, in full precision; a missing number is an empty cell."""
    return {
        "variants.csv": _csv([_variant(variant) for variant in summary.variants]),
        "costs.csv": _csv([_cost_numbers(variant) for variant in summary.variants]),
        "contrasts.csv": _csv([_contrast(summary, contrast) for contrast in summary.contrasts], CONTRAST_COLUMNS),
        "classes.csv": _csv(
            [_class(contrast, each) for contrast in summary.contrasts for each in contrast.class_differences],
            CLASS_COLUMNS,
        ),
        "without_one.csv": _csv(
            [_without_unit(contrast, unit) for contrast in summary.contrasts for unit in contrast.without_unit],
            WITHOUT_UNIT_COLUMNS,
        ),
        "accuracy_by_seed.csv": _csv(_accuracies(summary), ACCURACY_COLUMNS),
        "tuning.csv": _csv(_tuning(summary), [*TUNING_COLUMNS, *summary.search_space]),
    }


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
        "num_bad": len(variant.bad_seeds),
        "bad_rate_lower": None if variant.bad_rate is None else variant.bad_rate.lower,
        "bad_rate_upper": None if variant.bad_rate is None else variant.bad_rate.upper,
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


def _contrast(summary: StudySummary, contrast: Contrast) -> Row:
    judgement = contrast.judgement
    return {
        "margin": summary.decision.margin,
        "num_comparisons": summary.num_planned,
        "look": contrast.look,
        "look_alpha": summary.decision.alpha * summary.shares[contrast.look - 1],
        "retune_sd": None if contrast.noise.retune is None else contrast.noise.retune.sd,
        "reseed_sd": None if contrast.noise.reseed is None else contrast.noise.reseed.sd,
        "variant": contrast.variant,
        "versus": contrast.versus,
        "expect": contrast.expect,
        "expectation": contrast.expectation,
        "unit": judgement.unit,
        "num_pairs": judgement.num_pairs,
        "difference": judgement.mean,
        "sd": judgement.sd,
        **_evidence(judgement.evidence),
        "wins": judgement.wins,
        "losses": judgement.losses,
        "ties": judgement.ties,
        **_ends("probability_of_improvement_", judgement.probability_of_improvement),
        "p_failures": contrast.p_failures,
        "p_bad": contrast.p_bad,
        "verdict": judgement.verdict.value,
        "paragraph": contrast.paragraph,
    }


def _evidence(evidence: Evidence | None) -> Row:
    if evidence is None:
        return {}
    return {
        "level": evidence.interval.level,
        **_ends("", evidence.interval),
        **_ends("simultaneous_", evidence.simultaneous_interval),
        "basis": evidence.basis,
        **_parts(evidence.variance),
        "p_difference": evidence.p_difference,
        "p_difference_adjusted": evidence.p_difference_adjusted,
        "p_equivalence": evidence.p_equivalence,
        "p_equivalence_adjusted": evidence.p_equivalence_adjusted,
        "p_sign_flip": evidence.p_sign_flip,
    }


def _parts(variance: CrossedVariance | None) -> Row:
    if variance is None:
        return {}
    return {
        "variance_images": variance.images,
        "variance_units": variance.seeds,
        "variance_flips": variance.flips,
        "num_images": variance.num_images,
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


def _without_unit(contrast: Contrast, unit: int) -> Row:
    judgement = contrast.without_unit[unit]
    return {
        "variant": contrast.variant,
        "versus": contrast.versus,
        "unit": judgement.unit,
        "number": unit,
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
                    "search": summary.searches.get(seed),
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
            "search": point.search,
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
