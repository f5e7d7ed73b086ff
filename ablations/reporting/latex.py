r"""The report's tables for a paper: whole floats to `\input`, one line per variant."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ablations.analysis.summary import Contrast, StudySummary, VariantSummary
from ablations.reporting import words
from ablations.reporting.tables import contrast_details, cost_table

MAX_NARROW_NAME = 13
"""With longer names a table spans both columns of a page."""
MAX_LINE_NAME = 26
"""Longer names break into lines of this many characters."""


@dataclass(frozen=True)
class _Column:
    """A column of a table."""

    heading: str
    kind: str
    """Its letter in the table's preamble, as LaTeX."""


_TEXT, _RIGHT = "l", "r"


def latex_tables(summary: StudySummary) -> dict[str, str]:
    """File name -> LaTeX: a float with caption and label, for documents with booktabs and siunitx."""
    return {"variants.tex": _variants(summary), "contrasts.tex": _contrasts(summary), "costs.tex": _costs(summary)}


def label(summary: StudySummary, name: str) -> str:
    """The label of a table: `tab:one_by_one-laptop-variants`."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "-", f"{summary.study}-{summary.profile}-{name}")
    return f"tab:{plain}"


def _variants(summary: StudySummary) -> str:
    contrasts = {contrast.variant: contrast for contrast in summary.contrasts}
    unit = "searches" if summary.searches else "pairs"
    columns = (
        _Column("Variant", _names(summary)),
        _Column("Accuracy", _numbers((v.mean_accuracy_percent for v in summary.variants), uncertain=True)),
        _Column("$n$", _numbers((c.judgement.num_pairs for c in summary.contrasts), digits=0)),
        _Column(r"$\Delta$", _numbers((c.judgement.mean for c in summary.contrasts), signed=True)),
        _Column("Interval", _RIGHT),
        _Column("Verdict", _TEXT),
    )
    rows = [_variant(summary, variant, contrasts.get(variant.name)) for variant in summary.variants]
    caption = (
        f"{summary.question} Test accuracy in percent on {summary.dataset}, with the standard deviation of its last digits in brackets. "
        f"Mean difference over n {unit} against {_reference(summary)}, in points, with {words.interval_name(summary)}. {_rule(summary)}"
    )
    return _file(summary, "variants", caption, columns, rows)


def _variant(summary: StudySummary, variant: VariantSummary, contrast: Contrast | None) -> list[str]:
    level = _number(variant.mean_accuracy_percent)
    if variant.sd_accuracy_percent is not None:
        # In units of the last digit.
        level = f"{level}({round(100 * variant.sd_accuracy_percent)})"
    if contrast is None:
        return [_name(variant.name), level, "", "", "", "baseline"]
    judgement = contrast.judgement
    name = _name(variant.name) + ("" if contrast.versus == summary.baseline else f" vs. {_name(contrast.versus)}")
    return [
        name,
        level,
        str(judgement.num_pairs),
        _number(judgement.mean, signed=True),
        _span(summary, contrast),
        escaped_latex(_verdict(contrast)),
    ]


def _contrasts(summary: StudySummary) -> str:
    columns = (
        _Column("Contrast", _names(summary, 2)),
        _Column("Wins", _RIGHT),
        _Column("sd", _RIGHT),
        _Column("$p$, no difference", _RIGHT),
        _Column("$p$, not equivalent", _RIGHT),
        _Column("Prediction", _TEXT),
        _Column("Verdict", _TEXT),
    )
    rows = []
    for contrast, detail in zip(summary.contrasts, contrast_details(summary), strict=True):
        judgement = contrast.judgement
        outcome = "" if contrast.expect in {None, "unsure"} else f": {contrast.expectation}"
        rows.append(
            [
                f"{_name(contrast.variant)} $-$ {_name(contrast.versus)}",
                f"{judgement.wins} of {judgement.num_pairs}",
                escaped_latex(words.DASH if judgement.sd is None else words.points(judgement.sd)),
                escaped_latex(detail.cells["p, no difference"]),
                escaped_latex(detail.cells["p, not equivalent"]),
                escaped_latex(f"{contrast.expect or words.DASH}{outcome}"),
                escaped_latex(_verdict(contrast)),
            ]
        )
    caption = f"Statistics of the comparisons on {summary.dataset}: $p$-values after the correction over all tests. {_rule(summary)}"
    return _file(summary, "contrasts", caption, columns, rows, is_wide=True)


def _costs(summary: StudySummary) -> str:
    rows = cost_table(summary)
    headings = {
        "Params": "Params",
        "MACs": "MACs",
        "Training peak": "Training peak",
        "Prediction peak": "Prediction peak",
        "Training images/s": "Images/s",
        "Latency, 1 image": "Latency, 1",
        "Latency, 128 images": "Latency, 128",
    }
    shown = [heading for heading in headings if heading in rows[0].cells]
    columns = (_Column("Variant", _names(summary)), *(_Column(headings[each], _RIGHT) for each in shown))
    cells = [[_name(row.name), *(escaped_latex(row.cells[each][0]) for each in shown)] for row in rows]
    caption = (
        f"Costs of the variants on {summary.dataset}. Params, MACs (multiply-accumulates of one image, forward) and memory are "
        "counted in closed form. Speeds are medians, measured once per architecture."
    )
    return _file(summary, "costs", caption, columns, cells, is_wide=True)


def _verdict(contrast: Contrast) -> str:
    return words.chip(contrast).replace("margin", "m")


def _rule(summary: StudySummary) -> str:
    """The conditions of all verdicts, in a caption."""
    if summary.unplanned is not None:
        return f"No verdicts: {summary.unplanned}."
    looks = " and all looks" if len(summary.looks) > 1 else ""
    return (
        f"Margin m: {words.plural(summary.decision.margin, 'point')}. Family-wise error rate over "
        f"{words.plural(summary.num_planned, 'contrast')}{looks}: {100 * summary.decision.alpha:g} %."
    )


def _reference(summary: StudySummary) -> str:
    references = {contrast.versus for contrast in summary.contrasts}
    return "their references" if len(references) > 1 else f"`{summary.baseline}`"


def _span(summary: StudySummary, contrast: Contrast) -> str:
    interval, margin = contrast.judgement.interval, summary.decision.margin
    if interval is None:
        return ""
    ends = (words.end(each, margin).replace(words.MINUS, "-") for each in (interval.lower, interval.upper))
    return f"[${', '.join(ends)}$]"


# Cells and floats


def _name(name: str) -> str:
    return rf"\texttt{{{escaped_latex(name)}}}"


def _number(value: float | None, *, signed: bool = False) -> str:
    """A cell of a column of numbers; empty without one."""
    return "" if value is None else words.points(value, signed=signed).replace(words.MINUS, "-")


def _names(summary: StudySummary, number: int = 1) -> str:
    """A column of names, `number` of them in a cell: as wide as the longest, or of several lines."""
    longest = number * max((len(variant.name) for variant in summary.variants), default=0)
    return _TEXT if longest <= MAX_LINE_NAME else f"p{{{MAX_LINE_NAME * 0.53:.1f}em}}"


def _numbers(values: Iterable[float | None], *, digits: int = 2, signed: bool = False, uncertain: bool = False) -> str:
    """A column that aligns numbers at the decimal point."""
    most = max((abs(value) for value in values if value is not None), default=0.0)
    whole = len(f"{most:.{digits}f}".partition(".")[0])
    sign, kept = ("+", ",retain-explicit-plus") if signed else ("", "")
    return f"S[table-format={sign}{whole}.{digits}{'(2)' if uncertain else ''}{kept}]"


def _file(
    summary: StudySummary,
    name: str,
    caption: str,
    columns: Sequence[_Column],
    rows: Sequence[Sequence[str]],
    *,
    is_wide: bool = False,
) -> str:
    longest = max((len(variant.name) for variant in summary.variants), default=0)
    place = "table*" if is_wide or longest > MAX_NARROW_NAME else "table"
    heads = [rf"{{{each.heading}}}" if each.kind.startswith("S") else each.heading for each in columns]
    lines = [
        # A line break in a name would end the comment too early.
        f"% {name}.tex: of study {words.on_one_line(summary.study)} at profile {words.on_one_line(summary.profile)}.",
        rf"% Needs \usepackage{{booktabs,siunitx}}; use it as \input{{{name}}}.",
        rf"\begin{{{place}}}",
        r"\centering",
        rf"\caption{{{coded_latex(caption)}}}",
        rf"\label{{{label(summary, name)}}}",
        r"\footnotesize",
        r"\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{@{{}}{''.join(each.kind for each in columns)}@{{}}}}",
        r"\toprule",
        _row(heads),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
        rf"\end{{{place}}}",
    ]
    return "\n".join(lines) + "\n"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def coded_latex(text: str) -> str:
    """Escape text for LaTeX; names in backticks become typewriter, and `$p$` stays mathematics."""
    parts = re.split(r"`([^`]*)`|(\$p\$)", text)
    # In threes: text, a name or None, mathematics or None.
    found = [escaped_latex(parts[0], strip=False)]
    for name, mathematics, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
        found += [_name(name) if mathematics is None else mathematics, escaped_latex(rest, strip=False)]
    return "".join(found)


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


def escaped_latex(text: str, *, strip: bool = True) -> str:
    """Escape text for LaTeX, on one line: no command, comment, cell or mathematics in it takes effect.

    Letters of other scripts stay as they are; the document needs fonts for them.

    Args:
        text: of any kind.
        strip: remove blanks at both ends.
    """
    blanks = re.sub(r"\s+", " ", words.on_one_line(text))
    return _HYPHENS.sub("-{}", (blanks.strip() if strip else blanks).translate(_SIGNS))
