"""The answer of a study in one sentence, and the facts that say how far to trust it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ablations.analysis.summary import Contrast, StudySummary
from ablations.reporting import words
from ablations.stats.intervals import MIN_PAIRS_TO_LOOK, require_margin
from ablations.stats.judgement import Verdict

MAX_NAMED = 4
MAX_NAMES = 72
"""A clause names at most this many variants, in at most this many characters; otherwise it counts them."""
MAX_WORDS = 25
"""A sentence with more words becomes one for each clause."""


def answer(summary: StudySummary) -> str:
    """The verdict on every variant, with the size of each claimed difference: one sentence, or a few short ones.

    Raises:
        ValueError: a verdict lacks its pairs, mean, interval, margin or scope.
    """
    if not any(words.num_learned(variant) for variant in summary.variants):
        if any(variant.missing_seeds for variant in summary.variants):
            return "There is no answer yet: no confirmation trial has learned."
        return "There is no answer: all confirmation trials ran, and none of them learned."
    if not summary.contrasts:
        level = words.mean_and_sd(summary[summary.baseline])
        return f"{_called(summary, summary.baseline)} reaches {level} % test accuracy; there is nothing to compare it with."
    _require_evidence(summary)
    references: dict[str, list[Contrast]] = {}
    for contrast in summary.contrasts:
        references.setdefault(contrast.versus, []).append(contrast)
    return " ".join(_against(summary, versus, those) for versus, those in references.items())


def predictions(summary: StudySummary) -> str:
    """The outcome of the predictions that were written down before the first trial; empty if there are none."""
    stated = [c for c in summary.contrasts if c.expect not in {None, "unsure"}]
    if not stated:
        return ""
    # A closed comparison stays undecided; another may still get its verdict.
    is_over = all(c.course.closed for c in stated if c.expectation == "open")
    outcomes = {
        "as expected": "came true",
        "not as expected": "did not come true",
        "open": "stayed undecided" if is_over else "could not be checked yet",
    }
    counts = {outcome: sum(c.expectation == outcome for c in stated) for outcome in outcomes}
    if counts["open"] == len(stated):
        if is_over:
            return f"Your {'prediction' if len(stated) == 1 else f'{len(stated)} predictions'} stayed undecided."
        whole = "Your prediction could not" if len(stated) == 1 else f"None of your {len(stated)} predictions could"
        return f"{whole} be checked yet."
    parts = [f"{number} {outcomes[outcome]}" for outcome, number in counts.items() if number]
    among = sum(c.expectation != "open" and bool(words.failed_runs(summary, c)) for c in stated)
    only = f" {among} of them only among runs that learned." if among else ""
    return f"Of your {words.plural(len(stated), 'prediction')}, {words.listed(parts)}.{only}"


@dataclass(frozen=True)
class Fact:
    """A fact on how far to trust the answer, for the strip below it."""

    name: str
    text: str
    anchor: str = ""
    """Id of the section with more on it; empty if there is none."""
    is_trouble: bool = False


def trust(summary: StudySummary) -> tuple[Fact, ...]:
    """The facts in the order of the strip."""
    return tuple(_facts(summary))


def _facts(summary: StudySummary) -> Iterator[Fact]:
    yield Fact("evidence", _evidence(summary), "words" if summary.contrasts else "variants")
    if len(summary.looks) > 1 and summary.contrasts:
        yield Fact("look", f"{max(contrast.look for contrast in summary.contrasts)} of {len(summary.looks)}", "words")
    if summary.contrasts:
        risk = f"at most {100 * summary.decision.alpha:g} %"
        yield Fact("risk of any wrong verdict", risk if summary.unplanned is None else "no verdicts", "method")
    if summary.search_space and summary.contrasts:
        yield Fact("luck of tuning", "covered" if summary.searches else "not covered", "method", not summary.searches)
    for name, number in (
        ("missing trials", sum(len(variant.missing_seeds) for variant in summary.variants)),
        ("runs that did not learn", sum(len(variant.failed_seeds) for variant in summary.variants)),
    ):
        if number:
            yield Fact(name, str(number), "variants", is_trouble=True)
    num_warnings = len(summary.warnings) + len(summary.history)
    yield Fact("warnings", str(num_warnings or "none"), "warnings" if num_warnings else "", bool(num_warnings))
    if summary.caveats:
        yield Fact("caveats", str(len(summary.caveats)), "caveats")
    yield Fact("profile", summary.profile)
    yield Fact("data", summary.dataset)
    commit = summary.provenance.get("commit")
    if commit:
        yield Fact("commit", commit[:7] if isinstance(commit, str) else f"{len(commit)} different", "provenance")


def _evidence(summary: StudySummary) -> str:
    """`8 searches of 2 seeds`, `10 seeds each`, or `10 to 26 seeds`."""
    judged = [contrast.judgement for contrast in summary.contrasts]
    counts = sorted({each.num_pairs for each in judged} or {words.num_learned(summary[summary.baseline])})
    unit = "search" if summary.searches else "seed"
    number = words.plural(counts[-1], unit) if len(counts) == 1 else f"{counts[0]} to {words.plural(counts[-1], unit)}"
    if summary.searches:
        return f"{number} of {words.plural(len(summary.searches) // summary.num_searches, 'seed')}"
    return f"{number} each" if len(counts) == 1 else number


# Clauses


@dataclass(frozen=True)
class _Claim:
    """Contrasts with the same kind of verdict are told in one clause."""

    verb: str
    """`lower`, `higher`, `same`, `undecided`, `exploratory` or `none`."""
    is_small: bool
    """Whether the difference is surely smaller than the margin."""
    is_among_learned: bool
    """Whether it holds among runs that learned, since one arm failed more often."""


_VERBS = {
    Verdict.BETTER: "higher",
    Verdict.BETTER_BY_LESS: "higher",
    Verdict.BETTER_BY_MORE: "higher",
    Verdict.WORSE: "lower",
    Verdict.WORSE_BY_LESS: "lower",
    Verdict.WORSE_BY_MORE: "lower",
    Verdict.EQUIVALENT: "same",
    Verdict.EXPLORATORY: "exploratory",
    Verdict.NO_VERDICT: "none",
}
_ORDER = ("lower", "higher", "same", "undecided", "exploratory", "none")


def _claim(summary: StudySummary, contrast: Contrast) -> _Claim:
    verdict = contrast.judgement.verdict
    verb = _VERBS.get(verdict, "undecided")
    is_claim = verb in {"lower", "higher", "same"}
    return _Claim(
        verb,
        verdict in {Verdict.BETTER_BY_LESS, Verdict.WORSE_BY_LESS},
        is_claim and bool(words.failed_runs(summary, contrast)),
    )


def _against(summary: StudySummary, versus: str, contrasts: Sequence[Contrast]) -> str:
    """The verdicts on all variants that are compared with one reference."""
    groups: dict[_Claim, list[Contrast]] = {}
    for contrast in contrasts:
        groups.setdefault(_claim(summary, contrast), []).append(contrast)
    ordered = sorted(groups.items(), key=lambda item: _ORDER.index(item[0].verb))
    clauses = [_clause(summary, claim, those) for claim, those in ordered]
    against = f"Against {_called(summary, versus)}"
    whole = f"{against}: {'; '.join(clauses)}."
    if len(whole.split()) <= MAX_WORDS:
        return whole
    first, *rest = clauses
    return " ".join([f"{against}: {first}.", *(f"{clause[0].upper()}{clause[1:]}." for clause in rest)])


def _clause(summary: StudySummary, claim: _Claim, contrasts: Sequence[Contrast]) -> str:
    names = [_called(summary, contrast.variant) for contrast in contrasts]
    one = len(names) == 1
    is_named = one or (len(names) <= MAX_NAMED and len(words.listed(names)) <= MAX_NAMES)
    every = "all " if len(names) == len(summary.contrasts) else ""
    who = words.listed(names) if is_named else f"{every}{len(names)} variants"
    margin = words.plural(summary.decision.margin, "point")
    among = " among runs that learned" if claim.is_among_learned else ""
    match claim.verb:
        case "lower" | "higher":
            sizes = [words.points(abs(c.judgement.mean or 0.0)) for c in contrasts]
            size = words.listed(sizes) if is_named else f"{min(sizes, key=float)} to {max(sizes, key=float)}"
            less = f", less than the margin of {margin}" if claim.is_small else ""
            return f"{who} scored {size} points {claim.verb}{among}{less}"
        case "same":
            return f"{who} scored the same within {margin}{among}"
        case "undecided":
            return f"{who} {'remains' if one else 'remain'} undecided"
        case "exploratory":
            return f"{who} {'was' if one else 'were'} only explored"
    return f"{who} {'has' if one else 'have'} no verdict"


def _called(summary: StudySummary, name: str) -> str:
    return summary[name].called or f"`{name}`"


def _require_evidence(summary: StudySummary) -> None:
    require_margin(summary.decision.margin)
    if not summary.scope.strip():
        raise ValueError("a verdict needs its scope")
    for contrast in summary.contrasts:
        judgement = contrast.judgement
        has_evidence = None not in (judgement.mean, judgement.evidence) and judgement.num_pairs >= MIN_PAIRS_TO_LOOK
        if judgement.verdict is not Verdict.NO_VERDICT and not has_evidence:
            raise ValueError(f"the verdict on {contrast.variant} needs its mean, interval and number of pairs")
