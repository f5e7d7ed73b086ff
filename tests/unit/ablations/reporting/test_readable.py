"""The words of a report are short sentences in plain English, whatever the study."""

from __future__ import annotations

from dataclasses import replace

import pytest
from made_up import STUDIES, MakeStudy
from prose import BANNED, prose_of, relative_percent, sentences, words_of

from ablations.analysis.summary import AACheck, Choice, SharedStudy, StudySummary, Trouble
from ablations.reporting.render import markdown
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict

MAX_WORDS = 25


def looked(summary: StudySummary) -> StudySummary:
    """With two looks, an A/A arm, choices, history, shared studies, troubles and lost verdicts."""
    first, *rest = summary.contrasts
    course = replace(first.course, closed=None, chance=0.07, next_seeds=40)
    undecided = replace(first.judgement, verdict=Verdict.UNDECIDED_FUTILE)
    return replace(
        summary,
        looks=(5, 40),
        shares=(0.125, 0.875),
        contrasts=(replace(first, course=course, judgement=undecided, num_seeds=5), *rest),
        aa=AACheck(5, 5, 0.02, 0.3, Interval(-0.35, 0.39, 0.95), 1),
        choices={v.name: Choice({"train.lr": 0.1}, 0.2, 0.4, 0.6, 0.1) for v in summary.variants},
        history=("`none` against `two` was looked at before: seeds 0 to 4 (worse).",),
        shared=(SharedStudy("head", "starter", 10),),
        troubles=(Trouble("crashed", 1, 1, Interval(0, 0.1, 0.95), "1 of 9 trials crashed."),),
    )


CASES = {
    **{name: make for name, make in STUDIES.items() if name != "hostile"},
    "looked": lambda: looked(STUDIES["ordinary"]()),
    "lost": lambda: replace(STUDIES["ordinary"](), unplanned="the margin was 0.1 points, and is 0.5 now"),
    "unmeasured": lambda: replace(
        STUDIES["ordinary"](),
        variants=tuple(replace(v, measured=None, memory=None) for v in STUDIES["ordinary"]().variants),
    ),
}


@pytest.fixture(params=CASES)
def text(request: pytest.FixtureRequest) -> str:
    """The prose of a report."""
    return prose_of(markdown(CASES[request.param](), [], created="now"))


def test_no_sentence_is_long(text: str) -> None:
    # Long lists of names and numbers are items of a list, each after a semicolon.
    long = [each for each in sentences(text) if max(len(words_of(part)) for part in each.split(";")) > MAX_WORDS]
    assert long == []


def test_few_words_are_relative(text: str) -> None:
    assert relative_percent(text) <= 2.5


def test_no_word_reads_as_translated(text: str) -> None:
    assert [word for word in BANNED if f" {word} " in f" {' '.join(text.lower().split())} "] == []


def test_the_paragraph_of_every_verdict_is_short(make_study: MakeStudy) -> None:
    for contrast in make_study("troubled").contrasts:
        assert all(len(words_of(each)) <= MAX_WORDS for each in sentences(prose_of(contrast.paragraph)))
