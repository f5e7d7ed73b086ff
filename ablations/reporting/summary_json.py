"""StudySummary -> `summary.json`, for other programs; `summary.schema.json` describes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from math import isfinite
from typing import Any

from ablations.analysis.summary import Choice, Contrast, Examination, LookPoint, StudySummary, Trouble, VariantSummary
from ablations.reporting import words
from ablations.reporting.answer import answer
from ablations.stats.components import Noise
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Evidence

SCHEMA_VERSION = 5
"""Incremented when a key of `summary.json` changes its meaning or is removed."""
SCHEMA_FILE = "summary.schema.json"
"""File in this package. Every report has a copy for its `$schema`, so it is found wherever the report is moved."""


def summary_json(summary: StudySummary, created: str) -> dict[str, Any]:
    """The summary as a JSON object; NaN and infinity become null.

    Args:
        summary: results of the study.
        created: timestamp of the report. Two reports of the same summary differ in nothing else.
    """
    document: dict[str, Any] = _plain(
        {
            "$schema": SCHEMA_FILE,
            "schema_version": SCHEMA_VERSION,
            "created": created,
            "study": summary.study,
            "profile": summary.profile,
            "question": summary.question,
            "source": summary.source,
            "answer": answer(summary),
            "dataset": summary.dataset,
            "guess_percent": summary.guess_percent,
            "learned_percent": summary.learned_percent,
            "decision": summary.decision.model_dump(),
            "scope": summary.scope,
            "num_searches": summary.num_searches,
            "searches": summary.searches,
            "noise": _noise(summary.noise),
            "seeds": summary.seeds,
            "looks": summary.looks,
            "shares": summary.shares,
            "num_comparisons": summary.num_planned,
            "unplanned": summary.unplanned,
            "history": summary.history,
            "shared": [asdict(each) for each in summary.shared],
            "baseline": summary.baseline,
            "variants": {each.name: _variant(each, summary.choices.get(each.name)) for each in summary.variants},
            "contrasts": {contrast.variant: _contrast(summary, contrast) for contrast in summary.contrasts},
            "aa": None if summary.aa is None else {**asdict(summary.aa), "interval": _ends(summary.aa.interval)},
            "troubles": {each.outcome: _trouble(each) for each in summary.troubles},
            "warnings": summary.warnings,
            "caveats": summary.caveats,
            "provenance": summary.provenance,
        }
    )
    return document


WORKLOAD_KEYS = ("in_channels", "size", "num_classes", "batch_size", "precision", "optimizer", "device")
"""Fields of a workload, without the network's dials."""


def _variant(variant: VariantSummary, choice: Choice | None) -> dict[str, Any]:
    return {
        "description": variant.description,
        "changes": variant.changes,
        "expect": variant.expect,
        "family": variant.family,
        "params": variant.params,
        "macs": variant.macs,
        "activations": variant.activations,
        "workload": {key: getattr(variant.workload, key) for key in WORKLOAD_KEYS},
        "memory": None if variant.memory is None else asdict(variant.memory),
        "measured": None if variant.measured is None else asdict(variant.measured),
        "tuned": variant.tuned,
        "tuned_by_search": variant.tuned_by_search,
        "noise": _noise(variant.noise),
        "at_edge": variant.at_edge,
        "choice": None if choice is None else asdict(choice),
        "accuracy_percent": variant.accuracy_percent,
        "mean_accuracy_percent": variant.mean_accuracy_percent,
        "sd_accuracy_percent": variant.sd_accuracy_percent,
        "reseed_disagreement_percent": variant.reseed_disagreement_percent,
        "failed_seeds": variant.failed_seeds,
        "failure_rate_interval": _ends(variant.failure_rate),
        "bad_seeds": variant.bad_seeds,
        "bad_rate_interval": _ends(variant.bad_rate),
        "missing_seeds": variant.missing_seeds,
        "learning_onset_steps": variant.learning_onset_steps,
        "dead_classes": variant.dead_classes,
        "train_images_per_second": variant.train_images_per_second,
        "trial_seconds": variant.trial_seconds,
        "num_tune_planned": variant.num_tune_planned,
        "num_tune_done": variant.num_tune_done,
        "num_tune_epochs": variant.num_tune_epochs,
        "expected_best_of_n_percent": None if variant.best_of_n is None else variant.best_of_n.mean.tolist(),
        "run_ids": variant.run_ids,
    }


def _noise(noise: Noise) -> dict[str, Any]:
    return {
        kind: None if spread is None else {"sd": spread.sd, "interval": _ends(spread.interval)}
        for kind, spread in (("reseed", noise.reseed), ("retune", noise.retune))
    }


def _trouble(trouble: Trouble) -> dict[str, Any]:
    return {
        "num_trials": trouble.num_trials,
        "num_given_up": trouble.num_given_up,
        "rate_interval": _ends(trouble.rate),
    }


def _contrast(summary: StudySummary, contrast: Contrast) -> dict[str, Any]:
    judgement = contrast.judgement
    # Every field of the evidence, all None without evidence.
    evidence = {field.name: getattr(judgement.evidence, field.name, None) for field in fields(Evidence)}
    return {
        "versus": contrast.versus,
        "look": contrast.look,
        "num_seeds": contrast.num_seeds,
        "closed": contrast.course.closed,
        "chance": contrast.course.chance,
        "next_seeds": contrast.course.next_seeds,
        "path": [_look(point) for point in contrast.course.points],
        "difference": judgement.mean,
        "sd": judgement.sd,
        "interval": _ends(judgement.interval),
        "interval_level": None if judgement.interval is None else judgement.interval.level,
        "simultaneous_interval": _ends(evidence["simultaneous_interval"]),
        "basis": evidence["basis"],
        "unit": judgement.unit,
        "num_pairs": judgement.num_pairs,
        "differences": contrast.differences,
        "noise": _noise(contrast.noise),
        "disagreement_percent": contrast.disagreement_percent,
        "class_differences": {
            each.name: {**asdict(each), "interval": _ends(each.interval)} for each in contrast.class_differences
        },
        "wins": judgement.wins,
        "losses": judgement.losses,
        "ties": judgement.ties,
        "probability_of_improvement_interval": _ends(judgement.probability_of_improvement),
        "p_failures": contrast.p_failures,
        "p_bad": contrast.p_bad,
        "p_difference": evidence["p_difference"],
        "p_difference_adjusted": evidence["p_difference_adjusted"],
        "p_equivalence": evidence["p_equivalence"],
        "p_equivalence_adjusted": evidence["p_equivalence_adjusted"],
        "p_sign_flip": evidence["p_sign_flip"],
        "p_sign_flip_floor": evidence["p_sign_flip_floor"],
        "fragile": bool(evidence["fragile"]),
        "variance": None if evidence["variance"] is None else asdict(evidence["variance"]),
        "image_floor": evidence["image_floor"],
        "verdict": judgement.verdict.value,
        "without_unit": {
            unit: {"difference": each.mean, "interval": _ends(each.interval), "verdict": each.verdict.value}
            for unit, each in contrast.without_unit.items()
        },
        "verdict_words": words.verdict_and_failures(summary, contrast),
        "examination": None if contrast.examination is None else _examination(contrast.examination),
        "detectable_difference": None if contrast.detectable is None else contrast.detectable.now,
        "detectable_difference_limit": None if contrast.detectable is None else contrast.detectable.limit,
        "seeds_needed": None if judgement.seeds_needed is None else asdict(judgement.seeds_needed),
        "notes": judgement.notes,
        "paragraph": contrast.paragraph,
        "expect": contrast.expect,
        "expectation": contrast.expectation,
    }


def _examination(examination: Examination) -> dict[str, Any]:
    return {
        side: {"values": at.values, "num_pairs": at.num_pairs, "difference": at.mean, "interval": _ends(at.interval)}
        for side, at in (("at_variant", examination.at_variant), ("at_reference", examination.at_reference))
    }


def _look(point: LookPoint) -> dict[str, Any]:
    return {
        "number": point.number,
        "num_seeds": point.num_seeds,
        "num_pairs": point.num_pairs,
        "verdict": point.verdict.value,
        "difference": point.mean,
        "interval": _ends(point.interval),
        "smallest_difference": point.smallest_difference,
        "largest_equivalent": point.largest_equivalent,
    }


def _ends(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.lower, interval.upper]


def _plain(value: Any) -> Any:
    """The value in JSON's types: keys and foreign objects become text, NaN and infinity become null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
