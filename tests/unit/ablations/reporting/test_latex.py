"""Tables for LaTeX: their structure, and no foreign text with an effect on TeX."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import MakeStudy, Report

from ablations.reporting import words
from ablations.reporting.latex import escaped_latex, latex_tables
from ablations.reporting.paper import paper_files

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


def cells(table: str) -> list[list[str]]:
    """The printed cells of a table's body."""
    body = table.partition("\\midrule\n")[2].partition("\\bottomrule")[0]
    assert all(line.endswith(r" \\") for line in body.splitlines())
    plain = [re.sub(r"\\texttt\{((?:[^{}]|\{\}|\{.\})*)\}", r"\1", line[:-3]) for line in body.splitlines()]
    return [[printed(re.sub(r"\[\$(.*?)\$\]", r"{[}\1]", cell)) for cell in line.split(" & ")] for line in plain]


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


def test_a_table_is_a_whole_float_that_says_what_it_needs(make_study: MakeStudy, study_name: str) -> None:
    summary = make_study(study_name)
    for name, table in latex_tables(summary).items():
        first, needs, begin, *rest = table.splitlines()
        assert first == f"% {name}: of study {summary.study} at profile {summary.profile}."
        assert r"\usepackage{booktabs,siunitx}" in needs
        assert begin in {r"\begin{table}", r"\begin{table*}"}
        assert rest[-1] == begin.replace("begin", "end")
        assert [table.count(rule) for rule in (r"\toprule", r"\midrule", r"\bottomrule")] == [1, 1, 1]
        assert table.count(r"\caption{") == 1
        assert re.search(r"\\label\{tab:[A-Za-z0-9_-]+\}", table)
        assert not any(line.startswith("%") or not line for line in rest)


def test_every_variant_is_one_line_with_every_column(make_study: MakeStudy, study_name: str) -> None:
    summary = make_study(study_name)
    tables = {name: cells(table) for name, table in latex_tables(summary).items() if study_name != "hostile"}
    names = [variant.name for variant in summary.variants]
    if tables:
        assert [row[0] for row in tables["variants.tex"]] == names
        assert [row[0] for row in tables["costs.tex"]] == names
        assert {len(row) for row in tables["variants.tex"]} == {6}
        assert {len(row) for row in tables["contrasts.tex"]} <= {7}
        assert len({len(row) for row in tables["costs.tex"]}) == 1
        assert len(tables["contrasts.tex"]) == len(summary.contrasts)


def test_a_verdict_comes_with_its_difference_interval_and_pairs(make_study: MakeStudy) -> None:
    rows = {row[0]: row for row in cells(latex_tables(make_study("ordinary"))["variants.tex"])}
    assert rows["two"] == ["two", "98.00(7)", "", "", "", "baseline"]
    assert rows["none"] == ["none", "95.82(11)", "5", "-2.18", "[-2.36, -2.00]", "worse, > m"]


def test_a_variant_without_a_run_has_empty_cells(make_study: MakeStudy) -> None:
    rows = {row[0]: row for row in cells(latex_tables(make_study("troubled"))["variants.tex"])}
    assert rows["not_run_yet"] == ["not_run_yet", "", "0", "", "", "no verdict"]
    assert rows["half_done"][2:5] == ["1", "-0.23", ""]


def test_the_caption_has_question_data_interval_margin_and_error_rate(make_study: MakeStudy) -> None:
    table = latex_tables(make_study("ordinary"))["variants.tex"]
    caption = next(line for line in table.splitlines() if line.startswith(r"\caption"))
    for part in (
        "How many 1x1",
        "scikit-learn's handwritten digits",
        r"\texttt{two}",
        r"95 \% CI",
        "Margin m: 0.5 points",
        r"4 contrasts: 5 \%",
    ):
        assert part in caption


def test_long_names_take_both_columns_of_a_page(make_study: MakeStudy) -> None:
    assert r"\begin{table}" in latex_tables(make_study("ordinary"))["variants.tex"]
    assert r"\begin{table*}" in latex_tables(make_study("troubled"))["variants.tex"]


def test_the_report_has_them_and_links_to_them(report: Report, make_study: MakeStudy) -> None:
    folder, summary = report("ordinary"), make_study("ordinary")
    for name, text in {**latex_tables(summary), **paper_files(summary)}.items():
        assert (folder / "paper" / name).read_text(encoding="utf-8") == text
        assert f'href="paper/{name}"' in (folder / "index.html").read_text(encoding="utf-8")
        assert f"(paper/{name})" in (folder / "report.md").read_text(encoding="utf-8")
