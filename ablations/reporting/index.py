"""A folder of reports -> a page with links to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np
from pydantic import BaseModel, ValidationError

from ablations.reporting import words
from ablations.reporting.pages import html_page, markdown_page, replace_file
from ablations.stats.judgement import Verdict
from ablations.stats.p_values import step_down

_WORDS = {str(verdict) for verdict in Verdict if verdict.words.startswith(("better", "worse", "equivalent"))}

NOTE = (
    "Seeds are those with which a variant learned, of those planned for each variant. Failed are confirmation trials that "
    "ran and did not learn, missing those that have no outcome yet; what the words rest on is in each report. The risk of a wrong word "
    "is held within each study. Corrected over all: the words that are left if one step-down goes over the contrasts of all reports here, "
    "which may share runs and test images."
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
    lost: str
    """Variants whose verdict does not survive a correction over all contrasts of the index; empty if all do."""


class _Variant(BaseModel):
    accuracy_percent: dict[str, float | None]
    failed_seeds: list[int]
    missing_seeds: list[int]


class _Contrast(BaseModel):
    verdict: str
    look: int
    p_difference: float | None
    p_equivalence: float | None


class _Decision(BaseModel):
    alpha: float


class _Summary(BaseModel):
    """Keys of a report's `summary.json` that the index shows."""

    question: str
    # Earlier versions of the suite wrote none.
    answer: str = "See the report; an earlier version of the suite wrote it."
    seeds: list[int]
    variants: dict[str, _Variant]
    warnings: list[str]
    # Earlier versions wrote less on looks.
    contrasts: dict[str, _Contrast] = {}
    decision: _Decision = _Decision(alpha=0.05)
    shares: list[float] = [1.0]
    num_comparisons: int = 0

    def share_of(self, contrast: _Contrast) -> float:
        """Part of alpha of the look that judged a contrast."""
        return dict(enumerate(self.shares, start=1)).get(contrast.look, 1.0)


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
    found: dict[Path, _Summary] = {}
    damaged = []
    for path in sorted(folder.glob("*/*/summary.json")):
        try:
            found[path] = _Summary.model_validate_json(path.read_bytes())
        except ValidationError:
            reason = (
                "its summary.json was written by another version of the suite, or is damaged. Write the report again."
            )
            damaged.append(Unreadable(path.parts[-3], path.parts[-2], reason))
        except OSError as error:
            reason = f"its summary.json cannot be read: {error.strerror}."
            damaged.append(Unreadable(path.parts[-3], path.parts[-2], reason))
    num_contrasts = sum(each.num_comparisons for each in found.values())
    lost = _lost_words(list(found.values()), num_contrasts)
    context = {
        "rows": [_row(path, each, names) for (path, each), names in zip(found.items(), lost, strict=True)],
        "num_contrasts": num_contrasts,
        "unreadable": [*damaged, *unreadable],
        "note": NOTE,
        "created": created,
        "words": words,
    }
    replace_file(folder / "index.md", markdown_page("index.md.j2", context).encode())
    replace_file(folder / "index.html", html_page("index.html.j2", context).encode())
    return folder / "index.html"


def _lost_words(summaries: Sequence[_Summary], num_contrasts: int) -> list[list[str]]:
    """By report: variants whose words are gone if one step-down goes over the contrasts of all reports.

    Each p-value is taken at the share of alpha of its look, and held against the smallest alpha of the reports.
    """
    tests = [
        (place, name, kind, p / each.share_of(contrast))
        for place, each in enumerate(summaries)
        for name, contrast in each.contrasts.items()
        if contrast.verdict in _WORDS
        for kind, p in (("difference", contrast.p_difference), ("equivalence", contrast.p_equivalence))
        if p is not None and each.share_of(contrast)
    ]
    p_values = np.array([min(1.0, p) for *_, p in tests])
    adjusted = step_down(p_values, num_comparisons=max(num_contrasts, (len(tests) + 1) // 2)) if tests else p_values
    alpha = min((each.decision.alpha for each in summaries), default=0.05)
    kept = {(place, name, kind) for (place, name, kind, _), p in zip(tests, adjusted, strict=True) if p <= alpha}
    return [
        [
            name
            for name, contrast in each.contrasts.items()
            if any((place, name, kind) not in kept for kind in _tests_of(contrast.verdict))
        ]
        for place, each in enumerate(summaries)
    ]


def _tests_of(verdict: str) -> tuple[str, ...]:
    """The tests that a word rests on; of "by more" only the direction is held against the correction."""
    if verdict not in _WORDS:
        return ()
    kinds = {Verdict.EQUIVALENT.value: ("equivalence",)}
    both = {Verdict.BETTER_BY_LESS.value, Verdict.WORSE_BY_LESS.value}
    return ("difference", "equivalence") if verdict in both else kinds.get(verdict, ("difference",))


def _row(path: Path, summary: _Summary, lost: Sequence[str]) -> Row:
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
        lost=words.listed(lost) if lost else "",
    )
