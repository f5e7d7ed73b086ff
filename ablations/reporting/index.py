"""Several studies -> a page with links to their reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ablations.analysis.summary import StudySummary
from ablations.reporting import prose, words
from ablations.reporting.pages import html_page, markdown_page, replace_file

NOTE = (
    "Seeds are those with which a variant learned, of those planned for each variant. Failed are confirmation trials that "
    "ran and did not learn, missing those that have no outcome yet; what the words rest on is in each report."
)


@dataclass(frozen=True)
class Unreadable:
    """A study in the store without a report."""

    study: str
    profile: str
    reason: str


@dataclass(frozen=True)
class Row:
    """A study at one profile, in words."""

    study: str
    profile: str
    folder: str
    """Address of its report, relative to the index."""
    question: str
    answer: str
    seeds: str
    num_failed: int
    num_missing: int
    num_warnings: int


def write_index(
    summaries: Sequence[StudySummary], unreadable: Sequence[Unreadable], folder: Path, created: str
) -> Path:
    """Write `index.html` and `index.md`; the same studies give the same bytes, except for `created`.

    Args:
        summaries: studies with a report in `folder`.
        unreadable: studies without a report, to be listed with the reason.
        folder: of all reports; created if necessary.
        created: timestamp to print, verbatim.

    Returns:
        Path of `index.html`.

    Raises:
        OSError: the folder cannot be written.
    """
    context = {
        "rows": [_row(summary) for summary in summaries],
        "unreadable": unreadable,
        "note": NOTE,
        "created": created,
        "words": words,
    }
    replace_file(folder / "index.md", markdown_page("index.md.j2", context).encode())
    replace_file(folder / "index.html", html_page("index.html.j2", context).encode())
    return folder / "index.html"


def _row(summary: StudySummary) -> Row:
    learned = sorted({words.num_learned(variant) for variant in summary.variants})
    used = f"{learned[0]} to {learned[-1]}" if len(learned) > 1 else str(learned[0])
    return Row(
        study=summary.study,
        profile=summary.profile,
        folder=f"{quote(summary.study, safe='')}/{quote(summary.profile, safe='')}",
        question=summary.question,
        answer=prose.verdicts(summary),
        seeds=f"{used} of {summary.num_seeds}",
        num_failed=sum(len(variant.failed_seeds) for variant in summary.variants),
        num_missing=sum(len(variant.missing_seeds) for variant in summary.variants),
        num_warnings=len(summary.warnings),
    )
