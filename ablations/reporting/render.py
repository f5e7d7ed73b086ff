"""StudySummary -> a folder with the report: a page, Markdown, JSON, figures and tables."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from markupsafe import Markup
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf

from ablations.analysis.next_step import next_step
from ablations.analysis.summary import StudySummary
from ablations.reporting import looks, luck, prose, words
from ablations.reporting.answer import answer, predictions, trust
from ablations.reporting.csv_tables import csv_tables
from ablations.reporting.figures import FIGURES, figures, left_out
from ablations.reporting.figures.frame import FigureSpec
from ablations.reporting.forest import forest
from ablations.reporting.latex import latex_tables
from ablations.reporting.method import method
from ablations.reporting.pages import escaped_markdown, html_page, markdown_page, replace_file
from ablations.reporting.paper import citation, paper_files
from ablations.reporting.summary_json import SCHEMA_FILE, summary_json
from ablations.reporting.svg import svg_element, svg_file
from ablations.reporting.tables import contrast_details, cost_table, main_table
from ablations.reporting.theme import COLUMN, PAGE, drawing
from ablations.text import plural


@dataclass(frozen=True)
class DrawnFigure:
    """A figure and the contents of its files."""

    spec: FigureSpec
    svg: str
    """At the width of the page."""
    png: bytes
    column_svg: str
    """At the width of a paper's column, for narrow screens."""
    pdf: bytes
    """The same drawing as `column_svg`."""


_WHERE = "The whole report is among the artifacts: `report/index.html`."
"""The last line of a description."""


def write_report(summary: StudySummary, folder: Path, *, created: str) -> Path:
    """Write the report of a study; the same summary gives the same bytes, except for `created`.

    Each file is replaced as a whole, `index.html` last, so a reader never sees half a file. Figures of an earlier report
    are removed if this one does not have them. All other files in the folder stay.

    Args:
        summary: results of the study.
        folder: of the report; created if necessary.
        created: timestamp to print, verbatim.

    Returns:
        Path of `index.html`.

    Raises:
        OSError: the folder cannot be written.
    """
    drawn = [_drawn(figure) for figure in figures(summary)]
    contents: dict[str, bytes] = {}
    for each in drawn:
        contents[f"figures/{each.spec.name}.svg"] = each.svg.encode()
        contents[f"figures/{each.spec.name}.png"] = each.png
        contents[f"figures/{each.spec.name}.pdf"] = each.pdf
    for name, text in csv_tables(summary).items():
        contents[f"tables/{name}"] = text.encode()
    for name, text in {**latex_tables(summary), **paper_files(summary)}.items():
        contents[f"paper/{name}"] = text.encode()
    document = json.dumps(summary_json(summary, created), indent=2, ensure_ascii=False, allow_nan=False)
    contents["summary.json"] = f"{document}\n".encode()
    contents[SCHEMA_FILE] = files("ablations.reporting").joinpath(SCHEMA_FILE).read_bytes()
    contents["report.md"] = markdown(summary, drawn, created=created).encode()
    contents["index.html"] = html(summary, drawn, created=created).encode()
    for name, content in contents.items():
        replace_file(folder / name, content)
    for figure in FIGURES:
        for name in (f"figures/{figure.__name__}.{suffix}" for suffix in ("svg", "png", "pdf")):
            if name not in contents:
                (folder / name).unlink(missing_ok=True)
    return folder / "index.html"


def html(summary: StudySummary, drawn: list[DrawnFigure], *, created: str) -> str:
    """The page: one self-contained file."""
    # The page draws the paired differences itself.
    shown = [each for each in drawn if each.spec.name != "paired_differences"]
    context = {
        **_context(summary, drawn, created),
        "wide": {each.spec.name: _element(each.svg, each.spec.name) for each in shown},
        "narrow": {each.spec.name: _element(each.column_svg, f"{each.spec.name}-column") for each in shown},
    }
    return html_page("report.html.j2", context, script="report.js")


def _element(svg: str, prefix: str) -> Markup:
    return Markup(svg_element(svg, prefix=prefix))  # noqa: S704


def markdown(summary: StudySummary, drawn: list[DrawnFigure], *, created: str) -> str:
    """The same report as Markdown for a code host."""
    return markdown_page("report.md.j2", _context(summary, drawn, created))


def description(summary: StudySummary, *, max_characters: int) -> str:
    """The report in a few lines of Markdown: question, answer, a paragraph per contrast, and where to find the rest.

    Args:
        summary: of the study.
        max_characters: limit of the text. To keep it, the last contrasts are counted only, and then the answer is left out.
    """
    contrasts = [f"* {escaped_markdown(each.paragraph)}" for each in summary.contrasts]
    for told in (answer(summary), ""):
        for num_shown in reversed(range(len(contrasts) + 1)):
            num_left = len(contrasts) - num_shown
            left = [f"* {plural(num_left, 'more contrast')} in the report."] if num_left else []
            paragraphs = [
                f"**{escaped_markdown(summary.question)}**",
                escaped_markdown(told),
                "\n".join([*contrasts[:num_shown], *left]),
                escaped_markdown(prose.conditions(summary)),
                escaped_markdown(f"Profile {summary.profile}: {summary.profile_description}"),
                _WHERE,
            ]
            text = "\n\n".join(filter(None, paragraphs))
            if len(text) <= max_characters:
                return text
    return _WHERE


def _drawn(figure: FigureSpec) -> DrawnFigure:
    # Without dates and programs, the same figure gives the same bytes.
    png, pdf = io.BytesIO(), io.BytesIO()
    with drawing(PAGE):
        wide = figure.draw(PAGE)
        svg = svg_file(wide, alt_text=figure.alt_text)
        canvas: Any = FigureCanvasAgg(wide)
        canvas.print_png(png, metadata={"Software": None})
    with drawing(COLUMN):
        narrow = figure.draw(COLUMN)
        column_svg = svg_file(narrow, alt_text=figure.alt_text)
        canvas = FigureCanvasPdf(narrow)
        canvas.print_pdf(pdf, metadata={"Title": figure.title, "Creator": None, "Producer": None, "CreationDate": None})
    return DrawnFigure(figure, svg, png.getvalue(), column_svg, pdf.getvalue())


# Variables of the templates

FIGURE_SECTIONS = (
    ("costs", "Costs", "parameters, computation, memory, speed", ("accuracy_against_cost",)),
    ("training", "Training", "learning curves", ("learning_curves", "learning_curves_by_seed", "difference_curves")),
    (
        "seeds",
        "Seeds and looks",
        "every seed, every look, the luck of seeds and searches, power",
        ("accuracy_by_seed", "path_over_looks", "two_kinds_of_luck", "seeds_needed"),
    ),
    (
        "images",
        "Images and classes",
        "disagreement on single images and classes",
        ("disagreement", "class_differences"),
    ),
    ("tuning", "Tuning", "the search of each variant", ("tuning_landscape", "best_of_n")),
)
"""Id, title, content and figures of each section with figures. The page draws the paired differences itself."""
ON_DEMAND = frozenset({"learning_curves_by_seed"})
"""Figures folded within their section."""


def _context(summary: StudySummary, drawn: list[DrawnFigure], created: str) -> dict[str, Any]:
    specs = {figure.spec.name: figure.spec for figure in drawn}
    sections = {section: [specs[name] for name in names if name in specs] for section, _, _, names in FIGURE_SECTIONS}
    return {
        "summary": summary,
        "created": created,
        "answer": answer(summary),
        "predictions": predictions(summary),
        "trust": trust(summary),
        "forest": forest(summary),
        "names": [variant.name for variant in summary.variants],
        "baseline_level": words.mean_and_sd(summary[summary.baseline]),
        "how_to_read": prose.how_to_read_forest(summary),
        "next_step": next_step(summary),
        "rows": main_table(summary),
        "figures": list(specs.values()),
        "specs": specs,
        "sections": sections,
        "figure_sections": [(section, title, about) for section, title, about, _ in FIGURE_SECTIONS],
        "on_demand": ON_DEMAND,
        "not_drawn": [f"{each.title}: {each.reason}" for each in left_out(summary)],
        "contents": _contents(summary, sections),
        "expectation": prose.expectation,
        "rests_on": prose.rests_on,
        "conditions": [prose.conditions(summary)],
        "method": list(method(summary)),
        "provenance": [*_flat(summary.provenance), ("cite", citation(summary, created))],
        "interval_name": words.interval_name(summary),
        "details": contrast_details(summary),
        "costs": cost_table(summary),
        "costs_note": prose.costs_note(summary),
        "has_runs": any(variant.run_ids for variant in summary.variants),
        "tables": [f"tables/{name}" for name in csv_tables(summary)],
        "paper": [f"paper/{name}" for name in (*latex_tables(summary), *paper_files(summary))],
        "main_table_note": prose.main_table_note(summary),
        "examined": luck.examined,
        "at_look": looks.at_look,
        "details_note": prose.DETAILS_NOTE,
        "words": words,
    }


def _contents(summary: StudySummary, sections: Mapping[str, list[FigureSpec]]) -> list[tuple[str, str]]:
    """Id and title of each section below the first ones."""
    figures = [(section, title) for section, title, _, _ in FIGURE_SECTIONS if sections[section] or section == "costs"]
    compared = [("words", "Comparisons in words"), ("statistics", "Statistics")] if summary.contrasts else []
    caveats = [("caveats", f"Caveats ({len(summary.caveats)})")] if summary.caveats else []
    return [*compared, *figures, ("method", "How it was done"), *caveats, ("provenance", "Provenance")]


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
