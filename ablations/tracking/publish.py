"""Conclusions of a report beside its trials in MLflow: in its experiment, in the study's run, and in a run for each variant."""

from __future__ import annotations

import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ablations.analysis.summary import Contrast, StudySummary, VariantSummary
from ablations.networks import dials
from ablations.stats.intervals import identical, paired_interval
from ablations.text import plural
from ablations.tracking import layout
from ablations.tracking.artifacts import artifact_folder
from ablations.tracking.client import Client, Metric, Param, Run, RunTag
from ablations.tracking.database import require_writable, store_errors
from ablations.tracking.moved import settle
from ablations.tracking.pages import ACCURACY, DIFFERENCE, experiment_text, views
from ablations.tracking.runs import all_pages
from ablations.tracking.store import Store
from ablations.trial import content_hash

REPORT_FOLDER = "report"
"""Folder in the study's run for the report's files."""
_REPORT_FILES = (
    "index.html",
    "report.md",
    "summary*.json",
    "figures/*.png",
    "figures/*.svg",
    "figures/*.pdf",
    "tables/*.csv",
    "paper/*.tex",
    "paper/*.bib",
)

_ROW_ID = "ablations.row_id"
"""Hash of a variant's run, and its last tag to be written: a run without it is incomplete."""


def publish(store: Store, summary: StudySummary, description: str, report: Path) -> None:
    """Show a report's conclusions in MLflow's pages. Publishing the same summary again changes nothing.

    Args:
        store: the source of the summary.
        summary: of the study.
        description: of the study's run, in Markdown.
        report: the report's folder; other files in it are passed over.

    Raises:
        TrackingError: the store cannot be used.
    """
    with store_errors(store):
        client = Client(store.uri)
        require_writable(store)
        settle(store, client, summary.provenance["experiment_id"])
        parent = client.get_run(summary.provenance["parent_run_id"])
        _keep_report(client, parent.info.run_id, parent.info.artifact_uri, report)
        _write_rows(client, parent.info.run_id, parent.info.experiment_id, summary)
        _write_study(client, parent, summary)
        client.set_tag(parent.info.run_id, layout.DESCRIPTION, description)
        _describe_experiment(client, parent, summary)


def _keep_report(client: Client, run_id: str, artifact_uri: str, report: Path) -> None:
    files = [path for pattern in _REPORT_FILES for path in sorted(report.glob(pattern))]
    folder = artifact_folder(client, artifact_uri)
    if folder is not None:
        # This report may lack figures of an earlier one.
        shutil.rmtree(folder / REPORT_FOLDER, ignore_errors=True)
    for path in files:
        place = Path(REPORT_FOLDER) / path.relative_to(report).parent
        if folder is None:
            client.log_artifact(run_id, str(path), place.as_posix())
        else:
            (folder / place).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / place / path.name)


def _write_study(client: Client, parent: Run, summary: StudySummary) -> None:
    """Give the study's run its metrics and params. MLflow deletes neither, and params cannot be changed."""
    metrics, before = dict(_study_metrics(summary)), parent.data.metrics
    # The difference of a comparison that the study has no more.
    gone = {key: math.nan for key in before if key.startswith(DIFFERENCE) and key not in metrics}
    changed = {key: value for key, value in (metrics | gone).items() if not _same(before.get(key), value)}
    params, known = dict(_study_params(summary)), parent.data.params
    other = [f"{key} is {value} (was {known[key]})" for key, value in params.items() if known.get(key, value) != value]
    # MLflow shows the latest value.
    now_ms = time.time_ns() // 1_000_000
    client.log_batch(
        parent.info.run_id,
        metrics=[Metric(key, value, now_ms, 0) for key, value in changed.items()],
        params=[Param(key, value) for key, value in params.items() if key not in known],
        # A run of an older version has no source.
        tags=[
            RunTag(key, value)
            for key, value in layout.source_tags(summary.study, summary.provenance).items()
            if key not in parent.data.tags
        ],
    )
    if other:
        told = f"MLflow cannot change params. Now {', '.join(other)}."
        client.set_tag(parent.info.run_id, layout.PARAMS_MESSAGE, layout.shortened(told, layout.MAX_TAG_CHARACTERS))
    elif layout.PARAMS_MESSAGE in parent.data.tags:
        client.delete_tag(parent.info.run_id, layout.PARAMS_MESSAGE)


def _same(one: float | None, other: float) -> bool:
    return one is not None and (one == other or (math.isnan(one) and math.isnan(other)))


def _study_metrics(summary: StudySummary) -> Iterator[tuple[str, float]]:
    """Numbers of verdicts by kind, of seeds and of failed runs, and the differences with their intervals."""
    # `better_by_less` counts as better.
    kinds = Counter(contrast.judgement.verdict.partition("_")[0] for contrast in summary.contrasts)
    for kind in ("better", "worse", "equivalent", "undecided"):
        yield f"num_{kind}", float(kinds[kind])
    yield "num_without_verdict", float(sum(contrast.judgement.verdict.is_withheld for contrast in summary.contrasts))
    yield "num_seeds", float(max((len(variant.ran_seeds) for variant in summary.variants), default=0))
    yield "num_failed", float(sum(len(variant.failed_seeds) for variant in summary.variants))
    yield "num_warnings", float(len(summary.warnings))
    for contrast in summary.contrasts:
        for key, value in _difference(contrast):
            # MLflow shows names with a common start together.
            yield f"{key}/{contrast.variant}", value


def _study_params(summary: StudySummary) -> Iterator[tuple[str, str]]:
    """The settings of its conclusions."""
    yield "profile", summary.profile
    yield "data_set", summary.dataset
    yield "baseline", summary.baseline
    yield "variants", layout.shortened(", ".join(each.name for each in summary.variants), layout.MAX_PARAM_CHARACTERS)
    yield "margin_points", f"{summary.decision.margin:g}"
    yield "alpha", f"{summary.decision.alpha:g}"
    yield "looks", ", ".join(map(str, summary.looks))
    yield "num_searches", str(summary.num_searches)


def _describe_experiment(client: Client, parent: Run, summary: StudySummary) -> None:
    """Give the experiment its description and the saved views of its runs."""
    text = experiment_text(summary)
    tags = {layout.DESCRIPTION: layout.shortened(text, layout.MAX_TAG_CHARACTERS)}
    for view in views(_varied(summary), list(summary.search_space)):
        tags[view.tag] = view.to_json(parent.info.start_time)
    known = client.get_experiment(parent.info.experiment_id).tags
    for key, value in tags.items():
        if known.get(key) != value:
            client.set_experiment_tag(parent.info.experiment_id, key, value)


def _write_rows(client: Client, parent_run_id: str, experiment_id: str, summary: StudySummary) -> None:
    found = all_pages(client.search_runs, [experiment_id], f"tags.`{layout.KIND}` = 'variant'")
    hung = [run for run in found if run.data.tags.get(layout.PARENT) == parent_run_id]
    before = {run.data.tags.get(_ROW_ID): run.info.run_id for run in hung}
    contrasts = {contrast.variant: contrast for contrast in summary.contrasts}
    kept = set()
    for variant in summary.variants:
        if variant.mean_accuracy_percent is None:
            continue
        tags, params, metrics = _row(summary, variant, contrasts.get(variant.name))
        row_id = content_hash([tags, params, list(metrics.items())])
        if row_id in before:
            kept.add(before[row_id])
            continue
        name = f"{variant.name}, mean of {plural(len(_learned(variant)), 'seed')}"
        run = client.create_run(experiment_id, tags={layout.PARENT: parent_run_id, **tags}, run_name=name)
        client.log_batch(
            run.info.run_id,
            metrics=[Metric(key, value, run.info.start_time, 0) for key, value in metrics.items()],
            params=[Param(key, value) for key, value in params.items()],
            tags=[RunTag(_ROW_ID, row_id)],
        )
        client.set_terminated(run.info.run_id)
        kept.add(run.info.run_id)
    for run in found:
        if run.info.run_id not in kept:
            client.delete_run(run.info.run_id)


def _row(
    summary: StudySummary, variant: VariantSummary, contrast: Contrast | None
) -> tuple[dict[str, str], dict[str, str], dict[str, float]]:
    """Tags, params and metrics of a variant's run."""
    tags = {
        layout.KIND: "variant",
        layout.STUDY: summary.study,
        layout.PROFILE: summary.profile,
        layout.VARIANT: variant.name,
        layout.PHASE: "summary",
        **({layout.FAMILY: variant.family} if variant.family else {}),
        **(
            {
                layout.DESCRIPTION: f"{contrast.paragraph} It holds {summary.scope}.",
                layout.VERDICT: contrast.judgement.verdict.words,
            }
            if contrast
            else {}
        ),
    }
    params = {"num_params": str(variant.params), "num_macs": str(variant.macs), **_settings(summary, variant)}
    metrics = {
        # First: MLflow's comparison begins with it.
        **dict(_accuracy(variant)),
        **(dict(_difference(contrast)) if contrast else {}),
        "num_seeds": float(len(_learned(variant))),
        "num_failed": float(len(variant.failed_seeds)),
    }
    return tags, params, metrics


def _settings(summary: StudySummary, variant: VariantSummary) -> dict[str, str]:
    """The variant's values of all settings varied by the study: MLflow plots only runs with a value."""
    own = {**variant.changes, **variant.tuned}
    varied = _varied(summary)
    for key in varied:
        section, name = key.split(".", 1)
        if key not in own and section == "model" and name in dials(variant.workload.model):
            own[key] = dials(variant.workload.model)[name]
    return {key: layout.shortened(str(own[key]), layout.MAX_PARAM_CHARACTERS) for key in varied if key in own}


def _varied(summary: StudySummary) -> list[str]:
    """Dotted keys of all settings varied by the study."""
    return list(dict.fromkeys(key for each in summary.variants for key in (*each.changes, *each.tuned)))


def _accuracy(variant: VariantSummary) -> Iterator[tuple[str, float]]:
    """Mean, standard deviation and 95 % interval over the seeds that learned, if there are enough."""
    if variant.mean_accuracy_percent is not None:
        yield ACCURACY, variant.mean_accuracy_percent
    if variant.sd_accuracy_percent is not None:
        yield "sd_test_accuracy_percent", variant.sd_accuracy_percent
    learned = np.array(_learned(variant))
    if len(learned) > 1 and not identical(learned):
        interval = paired_interval(learned)
        yield f"{ACCURACY}_lower", interval.lower
        yield f"{ACCURACY}_upper", interval.upper


def _learned(variant: VariantSummary) -> list[float]:
    return [value for seed, value in variant.accuracy_percent.items() if seed not in variant.failed_seeds]


def _difference(contrast: Contrast) -> Iterator[tuple[str, float]]:
    """Mean paired difference with its interval, as in the report."""
    judgement = contrast.judgement
    if judgement.mean is not None:
        yield DIFFERENCE, judgement.mean
    if judgement.interval is not None:
        yield f"{DIFFERENCE}_lower", judgement.interval.lower
        yield f"{DIFFERENCE}_upper", judgement.interval.upper
