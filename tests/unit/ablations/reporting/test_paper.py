"""Methods and references for a paper; everything compiles."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from made_up import MakeStudy, Report

from ablations.reporting.paper import citation, paper_files

DOCUMENT = r"""\documentclass[twocolumn]{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,siunitx}
\begin{document}
\input{methods}
\input{variants}
\input{contrasts}
\input{costs}
\bibliographystyle{plain}
\bibliography{references}
\end{document}
"""


def cited(text: str) -> set[str]:
    return set(re.findall(r"\\cite\{(\w+)\}", text))


def test_the_bibliography_has_exactly_what_is_cited(make_study: MakeStudy, study_name: str) -> None:
    files = paper_files(make_study(study_name))
    assert set(re.findall(r"^@\w+\{(\w+),", files["references.bib"], re.MULTILINE)) == cited(files["methods.tex"])


def test_the_methods_say_only_what_was_done(make_study: MakeStudy) -> None:
    ordinary = paper_files(make_study("ordinary"))["methods.tex"]
    assert "in one search and 20 trials in all" in ordinary
    assert "up to 5 seeds" in ordinary
    assert "over 4 planned contrasts" in ordinary
    assert "looks" not in ordinary
    assert "Satterthwaite" not in ordinary
    assert r"Table~\ref{tab:one_by_one-starter-variants}" in ordinary
    searches = paper_files(make_study("several_searches"))["methods.tex"]
    assert "in 5 independent searches" in searches
    assert "the unit of every test is the search" in searches
    alone = paper_files(make_study("alone"))["methods.tex"]
    assert "Optuna" not in alone
    assert "step-down" not in alone


def test_looks_are_in_the_methods(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), looks=(5, 8), shares=(0.625, 0.375))
    text = paper_files(summary)["methods.tex"]
    assert "with looks at 5 and 8 planned beforehand" in text
    assert "over 4 planned contrasts and 2 looks" in text


def test_lost_verdicts_claim_no_error_rate(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), unplanned="the margin was changed")
    assert "family-wise" not in paper_files(summary)["methods.tex"]


def test_a_foreign_text_cites_nothing(make_study: MakeStudy) -> None:
    summary = replace(make_study("ordinary"), dataset="my data [@nothing] [@student1908x] \\input{x}")
    text = paper_files(summary)["methods.tex"]
    assert "nothing" not in cited(text)
    assert r"\textbackslash{}input" in text


def test_a_report_is_cited_with_version_and_date(make_study: MakeStudy) -> None:
    text = citation(make_study("ordinary"), "2026-01-02 03:04 UTC")
    assert text.startswith("The nin-ablations authors. NiN ablations: ")
    assert text.endswith("Report of one_by_one at profile starter, 2026-01-02 03:04 UTC.")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="TeX is missing: apt-get install texlive-science")
@pytest.mark.parametrize("name", ["ordinary", "troubled", "several_searches", "unstarted", "hostile"])
def test_everything_compiles_with_booktabs_and_siunitx_alone(report: Report, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "paper"
    shutil.copytree(report(name) / "paper", folder)
    (folder / "document.tex").write_text(DOCUMENT, encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "document"]
    for each in (command, ["bibtex", "document"], command, command):
        done = subprocess.run(each, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-3000:]
    log = (folder / "document.log").read_text(encoding="utf-8", errors="replace")
    assert "undefined" not in log.lower()
    too_wide = [float(each) for each in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    # A study's texts may have words that cannot be broken.
    assert name == "hostile" or max(too_wide, default=0.0) < 10
