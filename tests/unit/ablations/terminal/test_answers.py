"""The answer and what comes next, in lines."""

from __future__ import annotations

from dataclasses import replace

import pytest
import tiny
from made_up import STUDIES

from ablations.analysis.looks import TakenLook
from ablations.analysis.summary import StudySummary
from ablations.planning.frozen import Closing
from ablations.stats.budget import Budget
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Judgement, Verdict
from ablations.terminal.answers import answer_lines, look_lines


@pytest.fixture
def summary() -> StudySummary:
    return STUDIES["ordinary"]()


def test_each_comparison_has_a_line_with_verdict_difference_interval_and_seeds(summary: StudySummary) -> None:
    head, *lines = answer_lines(summary)
    assert head == "answer, in percentage points of test accuracy with intervals of 95 %:"
    assert len(lines) == len(summary.contrasts)
    for line, contrast in zip(lines, summary.contrasts, strict=True):
        assert line.startswith(f"  {contrast.variant} against {contrast.versus} ")
        assert f" {contrast.judgement.verdict.word} " in line
        assert line.endswith(f"{contrast.judgement.num_pairs} paired seeds")
    looks = replace(summary, looks=(5, 10))
    assert (
        next(answer_lines(looks))
        == "answer, in percentage points of test accuracy with intervals of 95 % over all looks:"
    )


def test_without_a_pair_there_is_no_answer(summary: StudySummary) -> None:
    bare = replace(summary.contrasts[0], judgement=replace(summary.contrasts[0].judgement, num_pairs=0))
    assert list(answer_lines(replace(summary, contrasts=(bare,)))) == []
    assert list(answer_lines(replace(summary, contrasts=()))) == []


@pytest.mark.parametrize(
    ("verdict", "closed", "fate"),
    [
        (Verdict.BETTER, "word", "done"),
        (Verdict.UNDECIDED_MORE_SEEDS, None, "gets more seeds (50 % chance of a word by 8 seeds)"),
        (Verdict.UNDECIDED_FUTILE, "futile", "unlikely to be decided (50 % chance of a word by 8 seeds)"),
        (Verdict.UNDECIDED_MORE_SEEDS, "last look", "no look is left"),
        (Verdict.EXPLORATORY, "not planned", "not planned, so without a verdict"),
    ],
)
def test_a_look_says_what_becomes_of_each_comparison(verdict: Verdict, closed: Closing | None, fate: str) -> None:
    plan = tiny.plan(looks=[5, 8])
    judgement = replace(STUDIES["ordinary"]().contrasts[0].judgement, verdict=verdict, mean=-0.5, num_pairs=5)
    judgement = with_interval(judgement, Interval(-1.25, 0.25, 0.95))
    budget = Budget(alpha=0.05, margin=5.0, num_comparisons=1, share=5 / 8)
    look = TakenLook(1, plan.seeds[:5], budget, {}, {"one": judgement}, {"one": closed} if closed else {}, {"one": 0.5})
    assert look_lines(plan, look) == [
        "look 1 of 2, at 5 seeds:",
        f"  one against two: {verdict.word}, -0.50, [-1.25, +0.25], 5 paired seeds; {fate}",
    ]


def with_interval(judgement: Judgement, interval: Interval) -> Judgement:
    assert judgement.evidence is not None
    return replace(judgement, evidence=replace(judgement.evidence, interval=interval))
