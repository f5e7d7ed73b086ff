"""A folder of reports -> a page with links to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from ablations.reporting import words
from ablations.reporting.pages import html_page, markdown_page, replace_file

NOTE = (
    "Seeds are those with which a variant learned, of those planned for each variant. Failed are confirmation trials that "
    "ran and did not learn, missing those that have no outcome yet; what the words rest on is in each report."
)


@dataclass(frozen=True)
class Unreadable:
    """A study in the store without a report, or a report that cannot be read."""

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


class _Variant(BaseModel):
    accuracy_percent: dict[str, float | None]
    failed_seeds: list[int]
    missing_seeds: list[int]


class _Summary(BaseModel):
    """Keys of a report's `summary.json` that the index shows."""

    question: str
    # Earlier versions of the suite wrote none.
    answer: str = "See the report; an earlier version of the suite wrote it."
    seeds: list[int]
    variants: dict[str, _Variant]
    warnings: list[str]


def write_index(folder: Path, unreadable: Sequence[Unreadable], created: str) -> Path:
    """Write `index.html` and `index.md`; the same reports give the same bytes, except for `created`.

    Args:
        folder: of all reports, each in `<study>/<profile>`; created if necessary.
        unreadable: studies without a report, to be listed with the reason.
        created: timestamp to print, verbatim.

    Returns:
        Path of `index.html`.

    Raises:
        OSError: the folder cannot be written to.
    """
    rows, damaged = [], []
    for path in sorted(folder.glob("*/*/summary.json")):
        try:
            rows.append(_row(path))
        except ValidationError:
            reason = (
                "its summary.json was written by another version of the suite, or is damaged. Write the report again."
            )
            damaged.append(Unreadable(path.parts[-3], path.parts[-2], reason))
        except OSError as error:
            reason = f"its summary.json cannot be read: {error.strerror}."
            damaged.append(Unreadable(path.parts[-3], path.parts[-2], reason))
    context = {
        "rows": rows,
        "unreadable": [*damaged, *unreadable],
        "note": NOTE,
        "created": created,
        "words": words,
    }
    replace_file(folder / "index.md", markdown_page("index.md.j2", context).encode())
    replace_file(folder / "index.html", html_page("index.html.j2", context).encode())
    return folder / "index.html"


def _row(path: Path) -> Row:
    summary = _Summary.model_validate_json(path.read_bytes())
    variants = summary.variants.values()
    learned = sorted({len(each.accuracy_percent.keys() - set(map(str, each.failed_seeds))) for each in variants})
    used = f"{learned[0]} to {learned[-1]}" if len(learned) > 1 else "".join(map(str, learned))
    study, profile = path.parts[-3:-1]
    return Row(
        study=study,
        profile=profile,
        folder=f"{quote(study, safe='')}/{quote(profile, safe='')}",
        question=summary.question,
        answer=summary.answer,
        seeds=f"{used} of {len(summary.seeds)}",
        num_failed=sum(len(each.failed_seeds) for each in variants),
        num_missing=sum(len(each.missing_seeds) for each in variants),
        num_warnings=len(summary.warnings),
    )
