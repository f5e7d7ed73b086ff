"""The answer and what comes next, in lines."""

from __future__ import annotations

import re
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
from ablations.stats.power import SeedsNeeded
from ablations.terminal.answers import answer_lines, look_lines, next_step


def judged(
    summary: StudySummary, *verdicts: Verdict, closed: Closing | None, needed: SeedsNeeded | None
) -> StudySummary:
    """A study with as many contrasts as verdicts."""
    contrasts = tuple(
        replace(
            contrast,
            judgement=replace(contrast.judgement, verdict=verdict, seeds_needed=needed),
            course=replace(contrast.course, closed=closed),
        )
        for contrast, verdict in zip(summary.contrasts, verdicts, strict=False)
    )
    return replace(summary, contrasts=contrasts)


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


def test_words_need_nothing_more(summary: StudySummary) -> None:
    done = judged(summary, Verdict.BETTER, Verdict.EQUIVALENT, closed="word", needed=None)
    assert next_step(done) == ""


def test_an_open_comparison_goes_on_by_itself(summary: StudySummary) -> None:
    is_open = judged(summary, Verdict.UNDECIDED_MORE_SEEDS, closed=None, needed=SeedsNeeded(5, 4, 9))
    assert next_step(is_open) == ""


@pytest.mark.parametrize("closed", ["futile", "last look"])
def test_what_is_closed_without_a_word_needs_fresh_seeds_at_one_look(summary: StudySummary, closed: Closing) -> None:
    stuck = judged(summary, Verdict.UNDECIDED_MORE_SEEDS, Verdict.WORSE, closed=closed, needed=SeedsNeeded(5, 4, 9))
    first = stuck.contrasts[0]
    number = first.judgement.num_pairs + 5
    told = (
        f"undecided: {first.variant}. About {number} fresh seeds at one look would decide most such cases: plan them in a copy of the "
        f"study with another name, first_seed: {stuck.seeds[-1] + 1} and seeds: {number}"
    )
    assert next_step(stuck) == told
    assert next_step(replace(stuck, looks=(5, 10))) == f"{told} instead of looks"


def test_seeds_that_others_have_had_are_not_proposed(summary: StudySummary) -> None:
    stuck = judged(summary, Verdict.UNDECIDED_MORE_SEEDS, closed="last look", needed=SeedsNeeded(5, 4, 9))
    assert "first_seed: 77 and" in next_step(replace(stuck, fresh_seed=77))
    assert next_step(replace(stuck, fresh_seed=998)).endswith("and fewer are left below 1,000")


def test_where_seeds_do_not_help_none_are_proposed(summary: StudySummary) -> None:
    stuck = judged(summary, Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, closed="last look", needed=None)
    assert next_step(stuck).endswith("More seeds would not help; the report says what limits it")


def test_lost_verdicts_come_back_with_the_file_as_it_was(summary: StudySummary) -> None:
    assert next_step(replace(summary, unplanned="the margin was 1 points, and is 2 now")) == (
        "no verdicts: the margin was 1 points, and is 2 now. They come back with the study file as it was, or on fresh seeds (first_seed)"
    )


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


def test_an_undecided_study_by_searches_is_told_how_many_fresh_searches_to_plan() -> None:
    summary = STUDIES["several_searches"]()
    step = next_step(summary)
    found = re.search(r"tuning.searches: (\d+), first_seed: (\d+) and seeds: (\d+)", step)
    assert found is not None, step
    searches, first, seeds = map(int, found.groups())
    assert (first, seeds) == (10, 2 * searches)
    undecided = [c.judgement for c in summary.contrasts if c.judgement.seeds_needed]
    assert searches == max(each.num_pairs + each.seeds_needed.num for each in undecided if each.seeds_needed)
