"""A study in MLflow's pages: saved views of its runs, the text of its experiment, and the addresses that open them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from ablations.analysis.summary import StudySummary
from ablations.tracking import layout
from ablations.tracking.client import Client, Run
from ablations.tracking.runs import all_pages

_WORKFLOW = "workflowType=machine_learning"
"""Without it, MLflow's pages add its tools for language models."""
_SAVED = "mlflow.sharedViewState."
"""Start of an experiment's tag for a view, under which MLflow's pages list and open it."""
_MAX_KEYS = 6
ACCURACY = "mean_test_accuracy_percent"
DIFFERENCE = "difference_points"


def metric(name: str) -> str:
    """A metric as MLflow's table of runs and its searches call it."""
    return f"metrics.`{name}`"


def _param(name: str) -> str:
    return f"params.`{name}`"


def _tag(name: str) -> str:
    return f"tags.`{name}`"


@dataclass(frozen=True)
class Chart:
    """A chart of MLflow's chart view of runs, by MLflow's keys."""

    kind: str
    plotted: dict[str, Any]

    @classmethod
    def bar(cls, name: str) -> Chart:
        """A metric as a bar for each run."""
        return cls("BAR", {"metricKey": name})

    @classmethod
    def line(cls, name: str) -> Chart:
        """A metric as a line for each run, by step."""
        return cls("LINE", {"metricKey": name, "xAxisKey": "step", "lineSmoothness": 0})

    @classmethod
    def scatter(cls, param: str, name: str) -> Chart:
        """A metric against a param, as a point for each run."""
        return cls("SCATTER", {"xaxis": {"key": param, "type": "PARAM"}, "yaxis": {"key": name, "type": "METRIC"}})


@dataclass(frozen=True)
class View:
    """A saved view: some of an experiment's runs, sorted, with the columns and charts of interest."""

    id: str
    name: str
    runs: str
    """A search of runs."""
    order_by: str
    """Column; the highest value is first."""
    columns: tuple[str, ...]
    """In their order, after the run's name."""
    charts: tuple[Chart, ...]
    group_by: tuple[str, ...] = ()
    """Tags; runs that agree in them are one line of a chart, their mean."""
    widths: dict[str, int] = field(default_factory=dict)
    """Of the columns that need more than MLflow gives them, pixels."""

    @property
    def tag(self) -> str:
        """The experiment's tag with this view."""
        return f"{_SAVED}{self.id}"

    def to_json(self, created_ms: int) -> str:
        """The value of the tag; MLflow requires a time."""
        section = f"{self.id}-charts"
        charts = [
            {
                "uuid": f"{self.id}-{number}",
                "type": chart.kind,
                "metricSectionId": section,
                "runsCountToCompare": 100,
                "deleted": False,
                "isGenerated": False,
                **chart.plotted,
            }
            for number, chart in enumerate(self.charts, start=1)
        ]
        grouped = {
            "aggregateFunction": "average",
            "groupByKeys": [{"mode": "tag", "groupByData": t} for t in self.group_by],
        }
        state = {
            "searchFilter": self.runs,
            "orderByKey": self.order_by,
            "orderByAsc": False,
            "selectedColumns": self.columns,
            "columnOrder": self.columns,
            "columnWidths": self.widths,
            "runsHiddenMode": "SHOW_ALL",
            "groupBy": grouped if self.group_by else None,
            "compareRunCharts": charts,
            "compareRunSections": [
                {
                    "uuid": section,
                    "name": self.name,
                    "display": True,
                    "isReordered": False,
                    "deleted": False,
                    "isGenerated": False,
                }
            ],
        }
        saved = {"name": self.name, "createdAt": created_ms, "updatedAt": created_ms, "state": json.dumps(state)}
        return json.dumps(saved)


def views(varied: Sequence[str], tuned: Sequence[str]) -> tuple[View, ...]:
    """The saved views of a study: its variants, its confirmations, and its search if it has one.

    Args:
        varied: dotted keys with different values in its variants.
        tuned: dotted keys of its search space.
    """
    # A tag has little room.
    varied, tuned = varied[:_MAX_KEYS], tuned[:_MAX_KEYS]
    mean, lower, upper = (metric(f"{ACCURACY}{end}") for end in ("", "_lower", "_upper"))
    difference = tuple(metric(f"{DIFFERENCE}{end}") for end in ("", "_lower", "_upper"))
    costs = (_param("num_macs"), _param("num_params"))
    variants = View(
        VARIANTS,
        "Variants",
        f"{_tag(layout.KIND)} = 'variant'",
        mean,
        (mean, _tag(layout.VERDICT), *difference, lower, upper, metric("num_seeds"), *costs, *map(_param, varied)),
        (
            Chart.bar(ACCURACY),
            Chart.bar(DIFFERENCE),
            Chart.scatter("num_macs", ACCURACY),
            Chart.scatter("num_params", ACCURACY),
        ),
        widths={mean: 210, _tag(layout.VERDICT): 220},
    )
    test, validation = metric("test_accuracy_percent"), metric("validation_accuracy_percent")
    labels = (_tag(layout.VARIANT), _param("seed"), _tag(layout.STATUS))
    confirmations = View(
        CONFIRMATIONS,
        "Confirmations",
        f"{_tag(layout.PHASE)} = 'confirm'",
        test,
        (test, validation, *labels, *map(_param, tuned)),
        (
            Chart.line("validation_accuracy_percent"),
            Chart.line("train_loss"),
            Chart.bar("test_accuracy_percent"),
        ),
        group_by=(layout.VARIANT,),
    )
    search = View(
        "ablations-search",
        "Search",
        f"{_tag(layout.PHASE)} = 'tune'",
        validation,
        (validation, *labels, *map(_param, tuned)),
        tuple(Chart.scatter(key, "validation_accuracy_percent") for key in tuned),
    )
    return (variants, confirmations, search) if tuned else (variants, confirmations)


VARIANTS, CONFIRMATIONS = "ablations-variants", "ablations-confirmations"


def experiment_text(summary: StudySummary) -> str:
    """The description of a study's experiment, in Markdown: what it asks, how its runs are organised, what opens its report."""
    study, one = summary.study, summary.baseline
    # A folder may be moved: the name of a local database is enough there.
    uri = summary.provenance["tracking_uri"]
    is_local = uri.startswith("sqlite:///")
    option = "" if uri == "sqlite:///mlflow.db" else f" --tracking-uri {shlex.quote(uri)}"
    names = f"{study} --profile {summary.profile}{option}"
    where = ", in the folder of its database" if is_local else ""
    return "\n".join(
        [
            f"**{layout.in_markdown(summary.question)}**",
            "",
            f"An ablation study at profile `{summary.profile}`. Its runs:",
            "",
            f"* `{study}` is the study's run. It has the answer, the differences as metrics, and the report as an artifact.",
            f"* One run per variant, such as `{one}, mean of …`, has its mean accuracy, its difference and its verdict.",
            f"* One run per training, such as `{one}, confirm, seed …`, has all its epochs.",
            "",
            "`Views`, above the table of runs, has tables of them, sorted by accuracy.",
            "",
            f"Open the report and the other pages with this command{where}: `python -m ablations ui {names}`",
            "",
            f"Write the report again with: `python -m ablations report {names}`",
        ]
    )


def addresses(client: Client, parent: Run) -> Iterator[tuple[str, str]]:
    """What a person wants to open of a study, with its path below the address of MLflow's pages.

    Args:
        client: of the store.
        parent: the study's run.
    """
    experiment_id, run_id = parent.info.experiment_id, parent.info.run_id
    experiment, run = f"#/experiments/{experiment_id}", f"#/experiments/{experiment_id}/runs/{run_id}"
    yield "study", f"{run}?{_WORKFLOW}"
    found = all_pages(client.search_runs, [experiment_id], f"{_tag(layout.KIND)} = 'variant'")
    variants = [each for each in found if each.data.tags.get(layout.PARENT) == run_id]
    # A report writes all of these.
    if f"{_SAVED}{VARIANTS}" not in client.get_experiment(experiment_id).tags or not variants:
        return
    yield "report", f"{run}/artifacts/report/index.html?{_WORKFLOW}"
    yield "variants", f"{experiment}/runs?viewStateShareKey={VARIANTS}&{_WORKFLOW}"
    best_first = sorted(variants, key=lambda each: -each.data.metrics.get(ACCURACY, 0.0))
    runs, experiments = (
        quote(json.dumps(ids, separators=(",", ":"))) for ids in ([v.info.run_id for v in best_first], [experiment_id])
    )
    yield "compare", f"#/compare-runs?runs={runs}&experiments={experiments}&{_WORKFLOW}"
    yield "charts", f"{experiment}/runs?viewStateShareKey={CONFIRMATIONS}&compareRunsMode=CHART&{_WORKFLOW}"
