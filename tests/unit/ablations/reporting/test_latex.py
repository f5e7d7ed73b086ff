"""Tables for LaTeX: their structure, and no foreign text with an effect on TeX."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import MakeStudy, Report

from ablations.reporting import words
from ablations.reporting.latex import escaped_latex, latex_tables

PRINTED = {
    r"\textbackslash{}": "\\",
    r"\textasciitilde{}": "~",
    r"\textasciicircum{}": "^",
    r"\textasciigrave{}": "`",
    r"\textless{}": "<",
    r"\textgreater{}": ">",
    r"\textbar{}": "|",
    r"\textemdash{}": "\N{EM DASH}",
    r"\char34{}": '"',
    r"\dots{}": "…",
    r"\_\allowbreak{}": "_",
    r"\#": "#",
    r"\$": "$",
    r"\%": "%",
    r"\&": "&",
    r"\{": "{",
    r"\}": "}",
    "{[}": "[",
    "{*}": "*",
    "-{}": "-",
    "$-$": "\N{MINUS SIGN}",
    r"$\pm$": "±",
    r"$\times$": "×",
    r"$\mu$": "µ",
}
"""Text printed by LaTeX for each sequence in an escaped text."""
_PIECES = re.compile("|".join(map(re.escape, sorted(PRINTED, key=len, reverse=True))))


def printed(latex: str) -> str:
    """The text printed by LaTeX; fails on commands other than escapes."""
    rest = _PIECES.sub("", latex)
    assert not set(rest) & set(r"\{}$&#^_%~*[")
    assert "--" not in rest
    return _PIECES.sub(lambda match: PRINTED[match[0]], latex)


def rows(table: str) -> list[list[str]]:
    """The printed cells of a table's body; cells with two lines are joined."""
    body = table.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    lines = [line for line in body.splitlines() if line != r"\addlinespace"]
    assert all(line.endswith(r" \\") for line in lines)
    stacked = re.compile(r"\\begin\{tabular\}\[t\]\{@\{\}r@\{\}\}(.*?)\\\\(.*?)\\end\{tabular\}")
    return [[printed(stacked.sub(r"\1 \2", cell)) for cell in line[:-3].split(" & ")] for line in lines]


TEX = st.text(alphabet=st.one_of(st.sampled_from("\\{}$&#^_%~*[]-`\"<>|'!?^ \n\r\t−—±×µ…am0"), st.characters()))


@given(TEX)
def test_escaped_text_prints_as_itself_and_does_nothing(text: str) -> None:
    escaped = escaped_latex(text)
    assert "\n" not in escaped
    assert printed(escaped) == " ".join(words.on_one_line(text).split())


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("none_wide", r"none\_\allowbreak{}wide"),
        ("100 % & #1", r"100 \% \& \#1"),
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("^^5cinput", r"\textasciicircum{}\textasciicircum{}5cinput"),
        ("a\n% b", r"a \% b"),
        ("a -- b --- c", "a -{}- b -{}-{}- c"),
        ("[2em]", "{[}2em]"),
        ("−0.81 ± 0.20", r"$-$0.81 $\pm$ 0.20"),
    ],
)
def test_escaped_latex(text: str, escaped: str) -> None:
    assert escaped_latex(text) == escaped


def test_tables_say_what_they_need_and_where_they_are_from(make_study: MakeStudy, study_name: str) -> None:
    summary = make_study(study_name)
    for name, table in latex_tables(summary).items():
        first, needs, use, *rest = table.splitlines()
        assert first == f"% {name}: of study {summary.study} at profile {summary.profile}."
        assert r"\usepackage{booktabs,array" in needs
        assert rf"\input{{{name.removesuffix('.tex')}}}" in use
        # What follows is closed again, and nothing of it is a document's own business.
        assert rest[0].startswith(r"\begingroup")
        assert rest[-1] == r"\endgroup"
        assert [table.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
        assert table.count(r"\begin{tabular}") == table.count(r"\end{tabular}")
        assert not any(line.startswith("%") or not line for line in rest)


def test_every_row_has_every_column(make_study: MakeStudy, study_name: str) -> None:
    summary = make_study(study_name)
    tables = {name: rows(table) for name, table in latex_tables(summary).items()}
    assert {len(row) for row in tables["variants.tex"]} == {7}
    assert {len(row) for row in tables["contrasts.tex"]} <= {7}
    assert len({len(row) for row in tables["costs.tex"]}) == 1
    names = [" ".join(words.on_one_line(variant.name).split()) for variant in summary.variants]
    assert [row[0] for row in tables["variants.tex"]] == names
    assert [row[0] for row in tables["costs.tex"]] == names
    assert len(tables["contrasts.tex"]) == len(summary.contrasts)


def test_a_verdict_stands_beside_its_interval_and_seeds(make_study: MakeStudy) -> None:
    summary = make_study("troubled")
    tables = latex_tables(summary)
    variants = {row[0]: row for row in rows(tables["variants.tex"])}
    for contrast, row in zip(summary.contrasts, rows(tables["contrasts.tex"]), strict=True):
        interval = contrast.judgement.interval
        span = "" if interval is None else words.span(interval, summary.decision.margin)
        assert row[5] == variants[contrast.variant][6] == words.verdict_and_failures(summary, contrast)
        assert row[5].startswith(contrast.judgement.verdict.words)
        assert span in row[1]
        assert span in variants[contrast.variant][5]
        assert row[2] == str(contrast.judgement.num_pairs)
    assert variants["half_done"][4] == "1 (9 missing)"


def test_the_conditions_of_the_words_stand_under_them(make_study: MakeStudy) -> None:
    tables = latex_tables(make_study("ordinary"))
    for name in ("variants.tex", "contrasts.tex"):
        note = tables[name].partition(r"\end{tabular}" + "\n\\par")[2]
        assert r"a margin of $\pm$0.5" in note
        assert r"The family-wise error rate over 4 planned contrasts is 5 \%" in note
        assert "for these tuned values, on scikit-learn's handwritten digits" in note


def test_the_report_has_them_and_links_to_them(report: Report, make_study: MakeStudy) -> None:
    folder = report("ordinary")
    for name, table in latex_tables(make_study("ordinary")).items():
        assert (folder / "tables" / name).read_text(encoding="utf-8") == table
        assert f'href="tables/{name}"' in (folder / "index.html").read_text(encoding="utf-8")
        assert f"(tables/{name})" in (folder / "report.md").read_text(encoding="utf-8")
