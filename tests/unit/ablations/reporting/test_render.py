"""Files of `write_report`: page, Markdown, JSON, figures and tables of each made-up study."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from made_up import MakeStudy, Report

from ablations.reporting import figures
from ablations.reporting.pages import escaped_markdown
from ablations.reporting.render import description, write_report

# One look is planned in each of the made-up studies.
FIGURES = [figure.__name__ for figure in figures.FIGURES if figure is not figures.path_over_looks]
NOT_DRAWN = {
    "ordinary": {"seeds_needed"},
    "hostile": {"seeds_needed"},
    "unstarted": set(FIGURES),
    "alone": set(FIGURES) - {"accuracy_against_cost", "accuracy_by_seed"},
    "searched_widely": {"seeds_needed", "class_differences", "disagreement", "difference_curves"},
}


class Page(HTMLParser):
    """A page's elements with their attributes, and its text outside scripts and styles."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if not {"script", "style"} & set(self._open):
            self.text += data

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def test_every_study_has_all_files(report: Report, study_name: str) -> None:
    folder = report(study_name)
    assert {path.name for path in folder.iterdir()} >= {
        *("index.html", "report.md", "summary.json", "summary.schema.json", "tables"),
    }
    tables = {path.name for path in (folder / "tables").iterdir()}
    assert tables == {
        *("variants.csv", "costs.csv", "contrasts.csv", "classes.csv", "accuracy_by_seed.csv", "tuning.csv"),
        "without_one.csv",
    }
    papers = {path.name for path in (folder / "paper").iterdir()}
    assert papers == {"variants.tex", "costs.tex", "contrasts.tex", "methods.tex", "references.bib"}
    drawn = sorted(path.stem for path in folder.glob("figures/*.svg"))
    for suffix in ("png", "pdf"):
        assert drawn == sorted(path.stem for path in folder.glob(f"figures/*.{suffix}"))
    assert drawn == sorted(set(FIGURES) - NOT_DRAWN.get(study_name, set()))
    assert not list(folder.rglob("*.part"))


def test_page_is_self_contained(report: Report, study_name: str) -> None:
    path = report(study_name) / "index.html"
    page = Page(path)
    html = path.read_text(encoding="utf-8")
    assert "http://" not in html
    assert "https://" not in html
    assert "@import" not in html
    assert all(reference.startswith("#") for reference in re.findall(r"url\(([^)]*)\)", html))
    for tag, attributes in page.elements:
        assert "src" not in attributes, tag
        assert not any(name.startswith("on") for name in attributes), tag
        href = attributes.get("href")
        if tag == "link":
            assert href == "data:,"
        elif tag == "a":
            assert href is not None
            assert href.startswith("#") or (path.parent / href).is_file()
        elif href is not None:
            assert href.startswith("#")


def test_keys_of_the_provenance_break_where_their_words_end(report: Report) -> None:
    assert "versions.<wbr>torch</th>" in (report("ordinary") / "index.html").read_text(encoding="utf-8")


def test_links_within_the_page_lead_somewhere(report: Report, study_name: str) -> None:
    page = Page(report(study_name) / "index.html")
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    links = [a["href"].removeprefix("#") for a in page.named("a") if (a["href"] or "").startswith("#")]
    assert links
    assert set(links) <= ids


def test_only_the_report_s_own_script_may_run(report: Report, study_name: str) -> None:
    path = report(study_name) / "index.html"
    html = path.read_text(encoding="utf-8")
    (policy,) = [m["content"] for m in Page(path).named("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    assert policy is not None
    assert "default-src 'none'" in policy
    (script,) = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy


def test_ids_are_unique_and_references_resolve(report: Report, study_name: str) -> None:
    page = Page(report(study_name) / "index.html")
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        for value in attributes.values():
            for reference in re.findall(r"url\(#([^)]+)\)", value or ""):
                assert reference in ids
    assert all((use["href"] or "").removeprefix("#") in ids for use in page.named("use"))


def test_figures_have_alternative_texts_with_numbers(report: Report) -> None:
    page = Page(report("ordinary") / "index.html")
    drawn = [svg for svg in page.named("svg") if svg.get("role") == "img"]
    texts = [svg["aria-label"] or "" for svg in drawn]
    # Each figure is there for a desk and for a phone. The page draws the paired differences itself.
    assert len(texts) == 2 * (len(FIGURES) - len(NOT_DRAWN["ordinary"]) - 1)
    assert all(re.search(r"\d", text) and "none_wide" in text for text in texts)


def test_figures_in_the_page_follow_its_colours(report: Report) -> None:
    html = (report("ordinary") / "index.html").read_text(encoding="utf-8")
    figures = "".join(re.findall(r"<svg[^>]*role.*?</svg>", html, flags=re.DOTALL))
    used = set(re.findall(r"var\((--colour-\w+)\)", figures))
    assert not re.findall(r"#[0-9a-f]{6}", figures)
    assert used
    assert all(html.count(f"{name}:") == 2 for name in used), "one light and one dark value for each"


@pytest.mark.slow
def test_texts_from_outside_are_only_text(report: Report, make_study: MakeStudy) -> None:
    path = report("hostile") / "index.html"
    page, hostile = Page(path), make_study("hostile")
    assert len(page.named("script")) == 1
    assert "<b>two" not in path.read_text(encoding="utf-8")
    assert not page.named("img")
    for text in (hostile.study, hostile.question, hostile.scope, hostile.variants[0].name, hostile.variants[1].name):
        # A word in backticks is shown as code.
        assert text.replace("`", "") in page.text


def test_texts_from_outside_are_only_text_in_markdown(report: Report) -> None:
    markdown = (report("hostile") / "report.md").read_text(encoding="utf-8")
    tags = set(re.findall(r"<[^>]*>", markdown))
    assert tags == {"<details>", "</details>", "<summary>", "</summary>"}
    assert "\n# not a heading" not in markdown
    assert not re.search(r"(?<!\\)\]\((javascript|x:)", markdown)
    rows = [line for line in markdown.splitlines() if line.startswith("| &lt;b&gt;two")]
    assert len(re.findall(r"(?<!\\)\|", rows[0])) == 8


def test_texts_from_outside_are_only_text_in_figures_and_tables(report: Report) -> None:
    folder = report("hostile")
    for path in folder.glob("figures/*.svg"):
        tags = {element.tag.rpartition("}")[2] for element in ET.parse(path).iter()}  # noqa: S314
        assert not tags & {"script", "img", "image", "foreignObject", "a"}
    for path in folder.glob("paper/*.tex"):
        assert not re.search(r"\\input\{(?!(variants|contrasts|costs)\})", path.read_text(encoding="utf-8"))


def test_markdown_links_resolve(report: Report, study_name: str) -> None:
    folder = report(study_name)
    markdown = (folder / "report.md").read_text(encoding="utf-8")
    links = re.findall(r"(?<!\\)\]\(([^)]*)\)", markdown)
    assert links
    assert all((folder / link).is_file() for link in links)


def test_page_and_markdown_tell_the_same_story(report: Report, make_study: MakeStudy) -> None:
    folder, summary = report("ordinary"), make_study("ordinary")
    page, markdown = Page(folder / "index.html").text, (folder / "report.md").read_text(encoding="utf-8")
    for contrast in summary.contrasts:
        assert contrast.paragraph.replace("`", "") in page
        assert escaped_markdown(contrast.paragraph) in markdown
    for text in ("251,760", *summary.caveats, summary.variants[0].run_ids[0], "0123456789abcdef"):
        assert text in page
        assert text in markdown


@pytest.mark.slow
def test_the_same_summary_gives_the_same_bytes(report: Report, make_study: MakeStudy, tmp_path: Path) -> None:
    first = report("ordinary")
    write_report(make_study("ordinary"), tmp_path, created="another day")
    for path in sorted(first.rglob("*")):
        if path.is_file():
            again = (tmp_path / path.relative_to(first)).read_bytes()
            assert again.replace(b"another day", b"2026-01-02 03:04 UTC") == path.read_bytes(), path.name


def test_pdfs_are_as_wide_as_a_column_and_embed_their_fonts(report: Report, study_name: str) -> None:
    for path in report(study_name).glob("figures/*.pdf"):
        content = path.read_bytes()
        (width,) = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+) ", content)
        assert float(width) == pytest.approx(3.3 * 72)
        assert b"/FontFile2" in content
        assert b"/Type3" not in content
        assert b"CreationDate" not in content


def test_figures_that_no_longer_exist_are_removed_and_nothing_else(
    report: Report, make_study: MakeStudy, tmp_path: Path
) -> None:
    folder = tmp_path / "report"
    shutil.copytree(report("alone"), folder)
    (folder / "figures" / "mine.png").touch()
    assert write_report(make_study("unstarted"), folder, created="now") == folder / "index.html"
    assert [path.name for path in (folder / "figures").iterdir()] == ["mine.png"]


def test_json_on_disk_is_strict(report: Report, study_name: str) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    text = (report(study_name) / "summary.json").read_text(encoding="utf-8")
    assert json.loads(text, parse_constant=refuse)["created"] == "2026-01-02 03:04 UTC"


@pytest.mark.slow
def test_reporting_imports_nothing_heavy() -> None:
    code = "import sys, ablations.reporting.render; print({'torch', 'mlflow', 'optuna', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


# Description


def test_a_description_is_shortened_by_whole_contrasts(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    whole = description(summary, max_characters=10_000)
    sentences = [f"* {escaped_markdown(contrast.paragraph)}" for contrast in summary.contrasts]
    assert all(sentence in whole.splitlines() for sentence in sentences)
    assert "more contrast" not in whole
    many = replace(summary, contrasts=tuple(summary.contrasts) * 40)
    for limit in (1_000, 5_000, 8_000, 20_000):
        text = description(many, max_characters=limit)
        assert len(text) <= limit
        question, *_, where = text.splitlines()
        assert question == f"**{escaped_markdown(summary.question)}**"
        assert where == "The whole report is among the artifacts: `report/index.html`."
        listed = [line for line in text.splitlines() if line.startswith("* ")]
        *shown, left = listed
        assert set(shown) <= set(sentences)
        assert left == f"* {len(many.contrasts) - len(shown)} more contrasts in the report."
    assert description(summary, max_characters=70) == where
