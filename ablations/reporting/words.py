"""Numbers and names as people read them. Only this module chooses digits and signs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ablations.analysis.summary import Contrast, StudySummary, VariantSummary
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict
from ablations.text import plural as plural

MINUS = "\N{MINUS SIGN}"
DASH = "\N{EM DASH}"


def points(value: float, *, signed: bool = False, digits: int = 2) -> str:
    """A number of percentage points or percent, with a true minus sign: `97.31`, signed `+0.31` or `−1.92`."""
    text = f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
    if not float(text):
        text = text.lstrip("+-")
    return text.replace("-", MINUS)


def end(value: float, margin: float) -> str:
    """An end of an interval of differences: `+0.57`. It gets enough digits to differ from 0 and from the margin: `+0.503`."""
    limits = (0.0, margin, -margin)
    # An end equal to one of them up to its last bits gets two digits.
    digits = (d for d in (2, 3, 4) if all(round(value, d) != round(limit, d) for limit in limits))
    return points(value, signed=True, digits=next(digits, 2))


def span(interval: Interval, margin: float) -> str:
    """An interval of differences: `−2.41 to −1.43`. Its ends never round to 0 or to the margin."""
    return f"{end(interval.lower, margin)} to {end(interval.upper, margin)}"


def compact(value: float) -> str:
    """A count in three digits: `252k`, `3.01M`."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def setting(value: Any, *, digits: int = 4) -> str:
    """A hyperparameter's value: a float in `digits` significant digits, everything else as written."""
    return f"{value:.{digits}g}" if isinstance(value, float) else str(value)


def settings(values: Mapping[str, Any], *, digits: int = 4) -> str:
    """Hyperparameters on one line: `train.lr = 0.1, train.momentum = 0.9`."""
    return ", ".join(f"{key} = {setting(value, digits=digits)}" for key, value in values.items())


def units(contrast: Contrast) -> str:
    """Number of units of a contrast's test: `5 pairs`, `8 searches`."""
    judgement = contrast.judgement
    return plural(judgement.num_pairs, "pair" if judgement.unit == "seed" else judgement.unit)


def tuned(variant: VariantSummary) -> str:
    """Chosen values in three digits; of several searches all values of each key: `train.lr = 0.05, 0.05, 0.09`."""
    keys = dict.fromkeys(key for each in variant.all_tuned for key in each)
    chosen = {key: [setting(each[key], digits=3) for each in variant.all_tuned if key in each] for key in keys}
    return "; ".join(f"{key} = {', '.join(each)}" for key, each in chosen.items())


def listed(items: Iterable[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def listed_or(counts: Iterable[int]) -> str:
    """`5`, `5 or 8`, `5, 8 or 12`."""
    *first, last = map(str, counts)
    return f"{', '.join(first)} or {last}" if first else last


def on_one_line(text: str) -> str:
    """The text with a blank for each line break and for every other unprintable character."""
    return "".join(character if character.isprintable() else " " for character in text)


def wrapped(name: str, width: int, *, lines: int = 4) -> str:
    """Break a name after `_` and blanks into at most `lines` lines of `width` characters; a longer name ends in `…`."""
    rows = [""]
    for piece in re.findall(r"\s*[^\s_]*_*", on_one_line(name)):
        for part in (piece[start : start + width] for start in range(0, len(piece), width)):
            if len(rows[-1]) + len(part) <= width:
                rows[-1] += part
            else:
                rows.append(part.lstrip())
    if len(rows) > lines:
        rows = [*rows[: lines - 1], f"{rows[lines - 1][: width - 1]}…"]
    return "\n".join(rows)


def mean_and_sd(variant: VariantSummary) -> str:
    """Test accuracy in percent over the seeds that learned: `98.12 ± 0.21`; without sd if there is only one."""
    if variant.mean_accuracy_percent is None:
        return DASH
    mean = points(variant.mean_accuracy_percent)
    return mean if variant.sd_accuracy_percent is None else f"{mean} ± {points(variant.sd_accuracy_percent)}"


def num_learned(variant: VariantSummary) -> int:
    """Number of seeds that learned and have a test accuracy."""
    return len(set(variant.accuracy_percent) - set(variant.failed_seeds))


def failed_runs(summary: StudySummary, contrast: Contrast) -> str:
    """Failed runs of a contrast's two arms: `5 of 10 failed, against 0 of 10`; empty if the arms have equally many."""
    seeds = set(summary.seeds[: contrast.num_seeds])
    sides = [summary[name] for name in (contrast.variant, contrast.versus)]
    (failed, ran), (against, of) = (
        (len(seeds & set(each.failed_seeds)), len(seeds & each.ran_seeds)) for each in sides
    )
    return "" if failed == against else f"{failed} of {ran} failed, against {against} of {of}"


def verdict(summary: StudySummary, contrast: Contrast) -> str:
    """The verdict's words, with `among runs that learned` if the arms differ in their number of failed runs."""
    text = contrast.judgement.verdict.words
    if contrast.judgement.unit == "search":
        text = text.replace("too few seeds", "too few searches").replace("more seeds", "more searches")
    if contrast.judgement.verdict is Verdict.NO_VERDICT or not failed_runs(summary, contrast):
        return text
    word, colon, more = text.partition(": ")
    return f"{word} among runs that learned{colon}{more}"


def verdict_and_failures(summary: StudySummary, contrast: Contrast) -> str:
    """The verdict's words, with the failed runs of both arms in brackets if their numbers differ."""
    failed = failed_runs(summary, contrast)
    return verdict(summary, contrast) + (f" ({failed})" if failed else "")


def chip(contrast: Contrast) -> str:
    """The verdict in a word or two: `worse`, `worse, > margin`, `equivalent`."""
    word, _, more = contrast.judgement.verdict.word.replace(", but", "").partition(" by ")
    size = {"more than the margin": ", > margin", "less than the margin": ", < margin"}
    return word.removesuffix(" within the margin") + size.get(more, "")


def effect(contrast: Contrast, margin: float) -> str:
    """Difference, and interval in brackets, if there are any: `−1.92 [−2.41, −1.43]`."""
    judgement = contrast.judgement
    if not judgement.num_pairs or judgement.mean is None:
        return "no pair"
    mean = points(judgement.mean, signed=True)
    if judgement.interval is None:
        return mean
    return f"{mean} [{end(judgement.interval.lower, margin)}, {end(judgement.interval.upper, margin)}]"


def interval_name(summary: StudySummary) -> str:
    """Name of the contrasts' intervals: `95 % CI`, or `95 % CI over all looks` if several are planned."""
    if len(summary.looks) > 1:
        return f"{100 * (1 - summary.decision.alpha):g} % CI over all looks"
    levels = [contrast.judgement.interval.level for contrast in summary.contrasts if contrast.judgement.interval]
    return f"{100 * (levels[0] if levels else 0.95):g} % CI"


def rate(interval: Interval | None) -> str:
    """An interval of a rate in percent: `3 to 44 %`, or `up to 31 %` if it begins at 0."""
    if interval is None:
        return DASH
    upper = f"{100 * interval.upper:.0f} %"
    return f"{100 * interval.lower:.0f} to {upper}" if interval.lower else f"up to {upper}"


def failures(variant: VariantSummary) -> str:
    """Seeds that ran and did not learn, with the interval of their rate: `0 of 10 (up to 31 %)`."""
    if variant.failure_rate is None:
        return DASH
    return f"{len(variant.failed_seeds)} of {len(variant.ran_seeds)} ({rate(variant.failure_rate)})"


def bad_runs(variant: VariantSummary) -> str:
    """Seeds that learned and ended badly, with the interval of their rate: `0 of 10 (up to 31 %)`."""
    if variant.bad_rate is None:
        return DASH
    return f"{len(variant.bad_seeds)} of {num_learned(variant)} ({rate(variant.bad_rate)})"


def p_value(value: float | None) -> str:
    """A p-value in two significant digits, never 0: `0.013`, `< 0.0001`."""
    if value is None:
        return DASH
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"


def tone(contrast: Contrast) -> str:
    """Kind of verdict, for its colour: `better`, `worse`, `equivalent` or `open`."""
    word = contrast.judgement.verdict.words.split(maxsplit=1)[0].rstrip(",:")
    return word if word in {"better", "worse", "equivalent"} else "open"
