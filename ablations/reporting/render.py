"""StudySummary -> a folder with the report: a page, Markdown, JSON, figures and tables."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.backends.backend_agg import FigureCanvasAgg

from ablations.analysis import StudySummary
from ablations.reporting import words
from ablations.reporting.figures import NAMES, FigureSpec, figures
from ablations.reporting.summary import summary_json
from ablations.reporting.svg import svg_element, svg_file
from ablations.reporting.tables import contrast_details, csv_tables, main_table
from ablations.reporting.theme import DARK, drawing, variable
from ablations.spec import CategoricalDistribution, Distribution

PNG_DPI = 160


@dataclass(frozen=True)
class DrawnFigure:
    """A figure with its files' contents."""

    spec: FigureSpec
    svg: str
    png: bytes


def write_report(summary: StudySummary, folder: Path, *, created: str) -> Path:
    """Write the report of a study; the same summary gives the same bytes, but for `created`.

    Each file is replaced as a whole, `index.html` last, so that a reader never meets half a file. Figures of an earlier report that
    this one no longer has are removed; files that are not the report's own stay.

    Args:
        summary: what the report shows.
        folder: made if need be.
        created: time stamp to print, as it should appear.

    Returns:
        Path of `index.html`.

    Raises:
        OSError: the folder cannot be written.
    """
    drawn = [_drawn(figure) for figure in figures(summary)]
    contents: dict[str, bytes] = {}
    for figure in drawn:
        contents[f"figures/{figure.spec.name}.svg"] = figure.svg.encode()
        contents[f"figures/{figure.spec.name}.png"] = figure.png
    for name, text in csv_tables(summary).items():
        contents[f"tables/{name}"] = text.encode()
    document = json.dumps(summary_json(summary, created), indent=2, ensure_ascii=False, allow_nan=False)
    contents["summary.json"] = f"{document}\n".encode()
    contents["report.md"] = markdown(summary, drawn, created=created).encode()
    contents["index.html"] = html(summary, drawn, created=created).encode()
    for name, content in contents.items():
        _replace(folder / name, content)
    for name in NAMES:
        for suffix in (".svg", ".png"):
            if f"figures/{name}{suffix}" not in contents:
                (folder / "figures" / f"{name}{suffix}").unlink(missing_ok=True)
    return folder / "index.html"


def html(summary: StudySummary, drawn: list[DrawnFigure], *, created: str) -> str:
    """The page: one file that needs no other."""
    script = _template("table.js")
    inline = {figure.spec.name: Markup(svg_element(figure.svg, prefix=figure.spec.name)) for figure in drawn}  # noqa: S704
    return (
        _html_environment()
        .get_template("index.html.j2")
        .render(
            _context(summary, drawn, created),
            inline=inline,
            style=Markup(_template("style.css")),  # noqa: S704
            script=Markup(script),  # noqa: S704
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
            colours=[(variable(light), light, dark) for light, dark in DARK.items()],
        )
    )


def markdown(summary: StudySummary, drawn: list[DrawnFigure], *, created: str) -> str:
    """The same report for a code host."""
    return _markdown_environment().get_template("report.md.j2").render(_context(summary, drawn, created), link=_Link)


def _drawn(figure: FigureSpec) -> DrawnFigure:
    with drawing():
        picture = figure.draw()
        # Both files get the same layout, computed once. `savefig` would compute it, and draw everything twice, for each.
        picture.draw_without_rendering()
        picture.set_layout_engine("none")
        buffer = io.BytesIO()
        picture.set_dpi(PNG_DPI)
        FigureCanvasAgg(picture).print_png(buffer, metadata={"Software": None})
        return DrawnFigure(figure, svg_file(picture, alt_text=figure.alt_text), buffer.getvalue())


def _replace(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.part")
    unfinished.write_bytes(content)
    unfinished.replace(path)


# What the templates are given


def _context(summary: StudySummary, drawn: list[DrawnFigure], created: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "created": created,
        "answer": words.answer(summary),
        "rows": main_table(summary),
        "figures": [figure.spec for figure in drawn],
        "method": list(_method(summary)),
        "provenance": list(_flat(summary.provenance)),
        "interval_name": words.interval_name(summary),
        "details": contrast_details(summary),
        "has_runs": any(variant.run_ids for variant in summary.variants),
        "tables": list(csv_tables(summary)),
        "words": words,
    }


def _method(summary: StudySummary) -> Iterator[tuple[str, str]]:
    """How the study was done, as pairs of a heading and a sentence."""
    alpha, margin, num = summary.decision.alpha, summary.decision.margin, len(summary.contrasts)
    yield "Data", f"{summary.dataset}; guessing gives {words.setting(float(summary.chance_percent))} %."
    yield (
        "Seeds",
        f"{summary.num_seeds}, the same for every variant ({', '.join(map(str, summary.seeds))}). All that is random in a trial "
        "comes from its seed and never from the variant, so differences are taken seed by seed.",
    )
    yield (
        "Accuracy",
        "Of the test split after the last epoch, which each confirmation trial reads once; mean ± sd (standard deviation) over seeds.",
    )
    if summary.search_space:
        spaces = "; ".join(f"{key} {_range(space)}" for key, space in summary.search_space.items())
        yield (
            "Tuning",
            f"Each variant by itself, on validation images only. Searched: {spaces}. {_effort(summary)}"
            + ("" if summary.independent_draws else " Later draws depend on earlier results."),
        )
    else:
        yield "Tuning", "None: all hyperparameters are fixed."
    yield (
        "Failed runs",
        "A run that diverged, or ended under twice the accuracy of guessing, did not learn: it is counted, and left out of means and differences.",
    )
    yield (
        "Margin",
        f"±{margin:g} percentage points, set in the study file before the first trial: a smaller difference does not matter.",
    )
    if num:
        yield (
            "Verdicts",
            f"Intervals and p-values are Student's t on the paired differences. The chance of any wrong word among {words.plural(num, 'contrast')} is "
            f"held at {100 * alpha:g} %, by one step-down over tests of difference and of equivalence. Under 5 pairs there is no verdict.",
        )
        yield from _basis(summary)
    yield "Scope", f"Every conclusion holds {summary.scope}."


def _basis(summary: StudySummary) -> Iterator[tuple[str, str]]:
    floors = [c.judgement.image_floor for c in summary.contrasts if c.judgement.image_floor is not None]
    both = [c.variant for c in summary.contrasts if c.judgement.basis == "seeds and images"]
    if both:
        yield (
            "Basis",
            f"For {words.listed(both)} the interval also covers new test images, since that is the wider one; otherwise it covers new seeds.",
        )
    if floors:
        yield (
            "Resolution",
            f"The test set alone limits what can be told apart to about ±{words.points(1.96 * max(floors))} points, however many seeds there are.",
        )


def _effort(summary: StudySummary) -> str:
    counts = {(v.num_tune_done, v.num_tune_planned, v.num_tune_epochs) for v in summary.variants}
    if len(counts) == 1:
        ((done, planned, epochs),) = counts
        return f"{done} of {words.plural(planned, 'trial')} done for each variant, re-runs included; {words.plural(epochs, 'epoch')} each."
    each = ", ".join(
        f"{v.name} {v.num_tune_done} of {v.num_tune_planned} ({words.plural(v.num_tune_epochs, 'epoch')})"
        for v in summary.variants
    )
    return f"Trials done, re-runs included: {each}."


def _range(distribution: Distribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"among {words.listed(words.setting(choice) for choice in distribution.choices)}"
    return f"from {distribution.low:g} to {distribution.high:g}" + (" (log scale)" if distribution.log else "")


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Nested mappings as rows of dotted keys."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, list | tuple):
            yield name, ", ".join(map(str, value)) or words.DASH
        else:
            yield name, words.DASH if value is None else str(value)


# Templates


@cache
def _template(name: str) -> str:
    return files("ablations.reporting").joinpath("templates", name).read_text(encoding="utf-8")


def _environment(template: str, *, autoescape: bool, finalize: Callable[[Any], Any] | None = None) -> Environment:
    return Environment(
        loader=DictLoader({template: _template(template)}),
        autoescape=autoescape,
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


@cache
def _html_environment() -> Environment:
    environment = _environment("index.html.j2", autoescape=True)
    environment.filters["breakable"] = breakable
    return environment


def breakable(text: str) -> Markup:
    """A name as HTML that may break after `_` and `.` before it breaks anywhere else."""
    return Markup(_JOINT.sub(r"\1<wbr>", str(escape(text))))  # noqa: S704


_JOINT = re.compile(r"(?<=\w)([_.])(?=\w)")


@cache
def _markdown_environment() -> Environment:
    # Markdown has no autoescape: whatever a template prints goes through `escaped_markdown`.
    return _environment("report.md.j2", autoescape=False, finalize=escaped_markdown)


class _Link(str):
    """A file name of the report's own, which needs no escaping."""

    __slots__ = ()


_MARKDOWN = str.maketrans({c: f"\\{c}" for c in "\\`*_[]|~$"} | {"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_BLOCK = re.compile(r"^(\d*)([-+#=.)])")


def escaped_markdown(value: Any) -> str:
    """Text that Markdown shows as it is, in one line: no markup, HTML, table cell, mathematics or list of it takes effect."""
    if isinstance(value, _Link):
        return value
    return _BLOCK.sub(r"\1\\\2", " ".join(str(value).split()).translate(_MARKDOWN))
