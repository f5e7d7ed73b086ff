"""The report in a real browser: Debian's Chromium, driven by Playwright, at a desk, on a phone and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from made_up import STUDIES
from playwright.sync_api import Browser, Page, sync_playwright

from ablations.reporting.index import write_index
from ablations.reporting.render import write_report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: apt-get install chromium")

DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reports of all made-up studies, with their index."""
    folder = tmp_path_factory.mktemp("reports")
    for name, study in STUDIES.items():
        write_report(study(), folder / name / "starter", created="now")
    write_index(folder, [], "now")
    return folder


class Opened:
    """A page, and all that it complained of."""

    def __init__(self, browser: Browser, path: Path, size: Any, **options: Any) -> None:
        self.context = browser.new_context(viewport=size, **options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.goto(path.as_uri())

    def open_all(self) -> None:
        self.page.evaluate("document.querySelectorAll('details').forEach((each) => (each.open = true))")


@pytest.fixture
def opened(browser: Browser, reports: Path) -> Iterator[Any]:
    made: list[Opened] = []

    def open_page(name: str, size: Any = DESK, **options: Any) -> Opened:
        path = reports / "index.html" if name == "index" else reports / name / "starter" / "index.html"
        made.append(Opened(browser, path, size, **options))
        return made[-1]

    yield open_page
    for each in made:
        each.context.close()


PAGES = [*STUDIES, "index"]

WIDER = """() => [...document.querySelectorAll('body *')]
  .filter((each) => each.checkVisibility() && !each.closest('svg'))
  .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && getComputedStyle(each).position !== 'absolute')
  .map((each) => `${each.tagName}.${each.className}: ${each.textContent.slice(0, 60)}`)"""
SCROLLS = """() => [...document.querySelectorAll('.scroll, .card')]
  .filter((each) => each.checkVisibility() && each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.getAttribute('aria-label') ?? each.className)"""


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_no_page_complains_or_is_wider_than_the_screen(opened: Any, name: str, size: Any) -> None:
    it = opened(name, size)
    it.open_all()
    assert it.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
    if size is PHONE:
        assert it.page.evaluate(WIDER) == []
        assert it.page.evaluate(SCROLLS) == []
    assert it.complaints == []


@pytest.mark.parametrize("name", ["ordinary", "several_searches"])
def test_the_first_screen_holds_title_answer_trust_and_forest_plot(opened: Any, name: str) -> None:
    page = opened(name).page
    for selector in ("h1", ".lead", ".trust", ".forest"):
        box = page.locator(selector).bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= DESK["height"], selector
    assert page.locator(".forest tbody .verdict").count() == len(STUDIES[name]().contrasts)


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (DESK, "dark"), (PHONE, "light")])
@pytest.mark.parametrize("name", ["troubled", "several_searches", "index"])
def test_the_page_is_accessible(opened: Any, name: str, size: Any, scheme: str) -> None:
    it = opened(name, size, color_scheme=scheme)
    it.open_all()
    found = Axe().run(it.page).response["violations"]
    assert [(each["id"], [node["html"][:200] for node in each["nodes"][:3]]) for each in found] == []


def test_a_press_on_a_heading_sorts_and_a_second_one_turns_round(opened: Any) -> None:
    page = opened("ordinary").page
    names = page.locator("[data-table=variants] tbody th code")
    assert names.all_inner_texts() == ["two", "none", "one", "three", "none_wide"]
    button = page.get_by_role("button", name="Params")
    button.click()
    assert names.all_inner_texts() == ["none", "one", "none_wide", "two", "three"]
    button.click()
    assert names.all_inner_texts() == ["three", "two", "none_wide", "one", "none"]


def test_rows_without_a_number_are_last_either_way(opened: Any) -> None:
    page = opened("troubled").page
    names = page.locator("[data-table=variants] tbody th code")
    for _ in range(2):
        page.locator("[data-table=variants]").get_by_role("button", name="Test accuracy (%)").click()
        assert set(names.all_inner_texts()[-2:]) == {"learns_nothing_at_all", "not_run_yet"}


def test_typing_filters_rows(opened: Any) -> None:
    page = opened("troubled").page
    rows = page.locator("[data-table=variants] tbody tr:visible")
    assert rows.count() == 12
    page.get_by_label("Filter variants").fill("MIXERS_of")
    assert rows.count() == 7
    page.get_by_label("Filter variants").fill("")
    assert rows.count() == 12


def test_a_variant_is_hidden_in_every_table_and_figure(opened: Any) -> None:
    it = opened("ordinary")
    it.open_all()
    parts = it.page.locator("[data-variant=none_wide]:visible")
    before = parts.count()
    assert before > 3
    button = it.page.get_by_role("button", name="none_wide", exact=True)
    button.click()
    assert parts.count() == 0
    assert it.page.locator("[data-variant=none]:visible").count() > 3
    button.click()
    assert parts.count() == before


def test_a_hidden_variant_stays_hidden_while_rows_are_filtered(opened: Any) -> None:
    page = opened("ordinary").page
    page.get_by_role("button", name="none_wide", exact=True).click()
    page.get_by_label("Filter variants").fill("none")
    page.get_by_label("Filter variants").fill("")
    assert page.locator("[data-table=variants] tbody tr:visible").count() == 4


def test_tables_are_copied_as_they_are_seen(opened: Any) -> None:
    it = opened("ordinary")
    it.page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }")

    def copied(what: str) -> list[str]:
        it.page.get_by_role("button", name=f"Copy {what}").click()
        return str(it.page.evaluate("window.copied")).splitlines()

    it.page.get_by_role("button", name="none_wide", exact=True).click()
    markdown = copied("comparisons as Markdown")
    assert markdown[0] == "| Variant | Difference (95 % CI) | Verdict |"
    assert markdown[2].startswith("| none (model.mixers = 0) | −2.18 [−2.36, −2.00] (5 pairs) | worse, > margin |")
    assert len(markdown) == 5
    csv = copied("variants as CSV")
    assert csv[0] == "Variant,Test accuracy (%) (mean ± sd),Seeds,Params,MACs,Tuned values"
    assert '"252,250"' in csv[1]
    latex = copied("variants as LaTeX")
    assert latex[0] == r"\begin{tabular}{lrrrrr}"
    assert r"98.00 $\pm$ 0.07" in latex[4]
    assert latex[-1] == r"\end{tabular}"


def test_commands_are_copied_by_a_button(opened: Any) -> None:
    it = opened("troubled")
    it.page.evaluate("navigator.clipboard.writeText = async (text) => { window.copied = text }")
    it.page.get_by_role("button", name="Copy the commands").click()
    assert it.page.evaluate("window.copied").startswith("python -m ablations run studies/")


def test_sections_fold_and_a_link_to_one_opens_it(opened: Any) -> None:
    page = opened("ordinary").page
    method = page.locator("dl")
    assert not method.is_visible()
    page.locator(".contents").get_by_role("link", name="How it was done").click()
    assert method.is_visible()
    assert page.evaluate("location.hash") == "#method"
    page.locator("#method").click()
    assert not method.is_visible()


def test_an_address_with_an_anchor_opens_its_section(browser: Browser, reports: Path) -> None:
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    page.goto(f"{(reports / 'ordinary' / 'starter' / 'index.html').as_uri()}#statistics")
    assert page.locator("[data-table=statistics]").is_visible()
    context.close()


def test_values_are_shown_on_hover(opened: Any) -> None:
    page = opened("ordinary").page
    assert "seed 0: −" in page.locator(".forest tr[data-variant=none] circle title").first.text_content()
    assert page.locator(".forest tr[data-variant=none] .mean title").text_content() == "mean: −2.18"


def test_without_its_script_the_page_is_whole(opened: Any) -> None:
    page = opened("ordinary", java_script_enabled=False).page
    assert page.locator(".forest tbody tr").count() == 4
    assert page.locator("button").count() == 0
    page.locator("summary", has=page.locator("#method")).click()
    assert page.locator("dl").is_visible()


def test_on_paper_every_section_is_open_and_no_tool_is_printed(opened: Any, tmp_path: Path) -> None:
    it = opened("ordinary")
    it.page.emulate_media(media="print")
    for selector in ("dl", "[data-table=statistics]", ".verdicts"):
        assert it.page.locator(selector).first.bounding_box()["height"] > 50, selector
    for selector in (".tools", ".contents"):
        assert not it.page.locator(selector).first.is_visible()
    paper = tmp_path / "paper.pdf"
    it.page.pdf(path=paper, prefer_css_page_size=True)
    assert paper.stat().st_size > 50_000
    assert it.complaints == []
