r"""The report's tables for a paper: files to `\input`, each with the conditions of its verdicts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ablations.analysis.summary import StudySummary
from ablations.reporting import prose, words
from ablations.reporting.tables import contrast_details, cost_table, main_table

Cell = tuple[str, str]
"""First and second line of a cell. Only numbers and their headings have a second line; else it is empty."""


def latex_tables(summary: StudySummary) -> dict[str, str]:
    """File name -> LaTeX: a `tabular` and its notes, for documents with booktabs and array."""
    return {"variants.tex": _variants(summary), "contrasts.tex": _contrasts(summary), "costs.tex": _costs(summary)}


def _variants(summary: StudySummary) -> str:
    columns = {
        ("Variant", ""): _text(6),
        ("Params", ""): "r",
        ("MACs", ""): "r",
        ("Accuracy (%)", "mean ± sd"): "r",
        ("Seeds", ""): _text(4),
        ("Difference", words.interval_name(summary)): "r",
        ("Verdict", ""): _text(6),
    }
    cells = [
        [
            (f"{row.name} ({row.against})" if row.against else row.name, ""),
            (words.compact(variant.params), ""),
            (words.compact(variant.macs), ""),
            (row.accuracy, ""),
            (f"{row.num_learned} ({row.troubles})" if row.troubles else str(row.num_learned), ""),
            (row.difference, row.interval),
            (row.verdict, ""),
        ]
        for variant, row in zip(summary.variants, main_table(summary), strict=True)
    ]
    return _file(summary, "variants", columns, cells, [prose.MAIN_TABLE_NOTE, prose.conditions(summary)])


def _contrasts(summary: StudySummary) -> str:
    columns = {
        ("Contrast", ""): _text(6),
        ("Difference", words.interval_name(summary)): "r",
        ("Paired", "seeds"): "r",
        ("p, no", "difference"): "r",
        ("p, not", "equivalent"): "r",
        ("Verdict", ""): _text(6),
        ("Expected: outcome", ""): _text(5),
    }
    rows = {row.name: row for row in main_table(summary)}
    cells = []
    notes = [prose.conditions(summary)]
    for contrast, detail in zip(summary.contrasts, contrast_details(summary), strict=True):
        row = rows[contrast.variant]
        outcome = "" if contrast.expect in {None, "unsure"} else f": {contrast.expectation}"
        cells.append(
            [
                (detail.name, ""),
                (row.difference, row.interval),
                (str(contrast.judgement.num_pairs), ""),
                (detail.cells["p, no difference"], ""),
                (detail.cells["p, not equivalent"], ""),
                (row.verdict, ""),
                (f"{contrast.expect or words.DASH}{outcome}", ""),
            ]
        )
        if detail.notes:
            notes.append(f"{detail.name}: {detail.notes}.")
    return _file(summary, "contrasts", columns, cells, notes)


def _costs(summary: StudySummary) -> str:
    rows = cost_table(summary)
    columns = {("Variant", ""): _text(6), **{_halved(heading): "r" for heading in rows[0].cells}}
    cells = [[(row.name, ""), *row.cells.values()] for row in rows]
    # Too wide for a portrait page.
    return _file(summary, "costs", columns, cells, [prose.costs_note(summary)], place="sidewaystable")


def _text(ems: int) -> str:
    """A column for words, on several lines if necessary."""
    return rf">{{\raggedright\arraybackslash}}p{{{ems}em}}"


def _halved(heading: str) -> Cell:
    """A heading on two lines, to keep its column as narrow as its numbers."""
    first, _, rest = heading.partition(" ")
    return first, rest


def _file(
    summary: StudySummary,
    name: str,
    columns: Mapping[Cell, str],
    rows: Sequence[Sequence[Cell]],
    notes: Sequence[str],
    *,
    place: str = "table",
) -> str:
    lines = [
        # A line break in a name would end the comment too early.
        f"% {name}.tex: of study {words.on_one_line(summary.study)} at profile {words.on_one_line(summary.profile)}.",
        rf"% Needs \usepackage{{booktabs,array{',rotating' if place == 'sidewaystable' else ''}}}, and is used as in",
        rf"% \begin{{{place}}}\centering\footnotesize\caption{{...}}\input{{{name}}}\end{{{place}}}",
        r"\begingroup\setlength{\tabcolsep}{3.5pt}",
        rf"\begin{{tabular}}{{@{{}}{''.join(columns.values())}@{{}}}}",
        r"\toprule",
        _row(list(columns)),
        r"\midrule",
        "\n\\addlinespace\n".join(_row(row) for row in rows),
        r"\bottomrule",
        r"\end{tabular}",
        *(rf"\par\smallskip{{\footnotesize\raggedright {escaped_latex(note)}\par}}" for note in notes),
        r"\endgroup",
    ]
    # A table without rows would leave an empty line here, and LaTeX takes it for a paragraph.
    return "\n".join(filter(None, lines)) + "\n"


def _row(cells: Sequence[Cell]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(cell: Cell) -> str:
    first, second = map(escaped_latex, cell)
    return rf"\begin{{tabular}}[t]{{@{{}}r@{{}}}}{first}\\{second}\end{{tabular}}" if second else first


_SIGNS = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "`": r"\textasciigrave{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\char34{}",
        # A long name may break there.
        "_": r"\_\allowbreak{}",
        **{sign: f"\\{sign}" for sign in "#$%&{}"},
        # After the end of a row, LaTeX would take these for its argument.
        "[": "{[}",
        "*": "{*}",
        words.MINUS: "$-$",
        words.DASH: r"\textemdash{}",
        "±": r"$\pm$",
        "×": r"$\times$",
        "µ": r"$\mu$",
        "…": r"\dots{}",
    }
)
_HYPHENS = re.compile(r"-(?=-)")
"""LaTeX turns two hyphens in a row into a dash."""


def escaped_latex(text: str) -> str:
    """Escape text for LaTeX, on one line: no command, comment, cell or mathematics in it takes effect.

    Letters of other scripts stay as they are; the document needs fonts for them.
    """
    return _HYPHENS.sub("-{}", " ".join(words.on_one_line(text).split()).translate(_SIGNS))
