"""The page with links to the reports of several studies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from made_up import MakeStudy

from ablations.reporting.answer import answer
from ablations.reporting.index import Unreadable, write_index
from ablations.reporting.pages import coded, escaped_markdown
from ablations.reporting.summary_json import summary_json

BAD = "<script>alert(3)</script> | [a](javascript:b)"
UNREADABLE = [Unreadable("old", "laptop", BAD)]


@pytest.fixture
def index(make_study: MakeStudy, tmp_path: Path) -> Path:
    """The index of three reports and an unreadable study."""
    write_summaries(make_study, tmp_path / "reports")
    return write_index(tmp_path / "reports", UNREADABLE, "now")


def write_summaries(make_study: MakeStudy, folder: Path) -> None:
    """The part of three reports that their index shows."""
    for name, study in (("ordinary", "one_by_one"), ("troubled", "two"), ("hostile", "<script>alert(0)")):
        path = folder / study / "starter" / "summary.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(summary_json(make_study(name), "now")), encoding="utf-8")


def test_each_study_is_a_row_with_its_link_and_counts(index: Path, make_study: MakeStudy) -> None:
    page, lines = (
        index.read_text(encoding="utf-8"),
        index.with_name("index.md").read_text(encoding="utf-8").splitlines(),
    )
    rows = [line for line in lines if line.startswith("| ")][2:]
    assert len(rows) == page.count("<h2") == 4
    assert 'href="one_by_one/starter/index.html"' in page
    assert "](one_by_one/starter/report.md) | starter |" in rows[1]
    assert rows[1].endswith("| 5 of 5 | 0 | 0 | 0 |")
    assert rows[2].endswith("| 0 to 10 of 10 | 14 | 20 | 3 |")
    for text in ("0 to 10 of 10 seeds", "14 failed", "20 missing", "3 warnings"):
        assert text in page
    told = answer(make_study("ordinary"))
    assert coded(told) in page
    assert told in rows[1]


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"question": 3}'])
def test_a_report_that_cannot_be_read_stops_no_other(index: Path, content: str) -> None:
    damaged = index.parent / "one_by_one" / "starter" / "summary.json"
    damaged.write_text(content)
    text = write_index(index.parent, [], "now").with_name("index.md").read_text(encoding="utf-8")
    assert text.count("Not reported: its summary") == 1
    assert "](one_by_one/starter/report.md)" not in text
    assert "](two/starter/report.md)" in text


def test_a_report_whose_file_the_system_refuses_stops_no_other(index: Path) -> None:
    (index.parent / "mine" / "starter" / "summary.json").mkdir(parents=True)
    text = write_index(index.parent, [], "now").with_name("index.md").read_text(encoding="utf-8")
    assert "| mine | starter | — | Not reported: its summary.json cannot be read: Is a directory. |" in text
    assert "](two/starter/report.md)" in text


def test_a_report_of_an_earlier_version_keeps_its_row_and_its_link(index: Path) -> None:
    path = index.parent / "one_by_one" / "starter" / "summary.json"
    summary = json.loads(path.read_text(encoding="utf-8"))
    del summary["answer"]
    path.write_text(json.dumps(summary), encoding="utf-8")
    text = write_index(index.parent, [], "now").with_name("index.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if "](one_by_one/starter/report.md)" in line]
    assert row.endswith(
        "| See the report; an earlier version of the suite wrote it. | the same words | 5 of 5 | 0 | 0 | 0 |"
    )


def test_a_study_that_could_not_be_read_is_named_with_its_reason(index: Path) -> None:
    page, text = index.read_text(encoding="utf-8"), index.with_name("index.md").read_text(encoding="utf-8")
    assert "Not reported: &lt;script&gt;alert(3)&lt;/script&gt; | [a](javascript:b)" in page
    assert f"| old | laptop | — | Not reported: {escaped_markdown(BAD)} | — | — | — | — | — |" in text


def test_texts_from_outside_are_only_text(index: Path) -> None:
    page, text = index.read_text(encoding="utf-8"), index.with_name("index.md").read_text(encoding="utf-8")
    assert "<script" not in page
    assert 'href="%3Cscript%3Ealert%280%29/starter/index.html"' in page
    assert not re.findall("<[^>]*>", text)
    assert not re.search(r"(?<!\\)\]\(javascript", text)


def test_the_page_is_self_contained_and_runs_no_script(index: Path) -> None:
    page = index.read_text(encoding="utf-8")
    assert not re.search(r"https?://|@import|<[^>]* src=", page)
    assert "default-src 'none'" in page
    assert "script-src" not in page


def test_the_same_studies_give_the_same_bytes(index: Path, make_study: MakeStudy, tmp_path: Path) -> None:
    write_summaries(make_study, tmp_path / "again")
    again = write_index(tmp_path / "again", UNREADABLE, "another day")
    for name in ("index.html", "index.md"):
        first, second = (path.with_name(name).read_text(encoding="utf-8") for path in (index, again))
        assert first.replace("Made now", "Made another day") == second
    assert {path.name for path in again.parent.iterdir() if path.is_file()} == {"index.html", "index.md"}


def _with_p(path: Path, study: str, p_values: dict[str, float], share: float = 1.0) -> None:
    """Write the part of a summary that the index needs."""
    contrasts = {
        name: {"verdict": "better", "look": 1, "p_difference": p, "p_equivalence": 1.0} for name, p in p_values.items()
    }
    summary = {
        "question": "?",
        "seeds": [0],
        "variants": {},
        "warnings": [],
        "contrasts": contrasts,
        "decision": {"alpha": 0.05},
        "shares": [share],
        "num_comparisons": len(contrasts),
    }
    folder = path / study / "starter"
    folder.mkdir(parents=True)
    (folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")


def test_the_index_says_which_words_are_left_over_all_of_its_contrasts(tmp_path: Path) -> None:
    _with_p(tmp_path, "a", {"x": 0.001, "y": 0.02})
    _with_p(tmp_path, "b", {"z": 0.011})
    text = write_index(tmp_path, [], "now").with_name("index.md").read_text(encoding="utf-8")
    assert "Corrected over all 3 contrasts" in text
    rows = {line.split("](")[0].strip("| ["): line for line in text.splitlines() if "](" in line}
    # Smallest first: .001 x 3, .011 x 3, .02 x 3 (Shaffer: three nulls may be true each time).
    assert "no word on y" in rows["a"]
    assert "the same words" in rows["b"]


def test_a_p_value_of_an_early_look_counts_by_the_looks_share_of_alpha(tmp_path: Path) -> None:
    _with_p(tmp_path, "a", {"x": 0.004}, share=0.25)
    _with_p(tmp_path, "b", {"z": 0.011, "u": 0.011, "v": 0.011, "w": 0.0001})
    text = write_index(tmp_path, [], "now").with_name("index.md").read_text(encoding="utf-8")
    rows = {line.split("](")[0].strip("| ["): line for line in text.splitlines() if "](" in line}
    assert "no word on x" in rows["a"]
    assert "no word on z, u and v" in rows["b"]
