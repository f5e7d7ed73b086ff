"""The next step of a study, with its commands."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from made_up import STUDIES

from ablations.analysis.next_step import NextStep, next_step
from ablations.analysis.summary import StudySummary, Trouble
from ablations.planning.frozen import Closing
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Verdict
from ablations.stats.power import SeedsNeeded


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


def step_of(summary: StudySummary) -> NextStep:
    step = next_step(summary)
    assert step is not None
    return step


def test_words_need_nothing_more(summary: StudySummary) -> None:
    done = judged(summary, Verdict.BETTER, Verdict.EQUIVALENT, closed="word", needed=None)
    assert next_step(done) is None


def test_an_open_comparison_goes_on_with_the_run(summary: StudySummary) -> None:
    is_open = judged(summary, Verdict.UNDECIDED_MORE_SEEDS, closed=None, needed=SeedsNeeded(5, 4, 9))
    assert step_of(is_open) == NextStep(
        "The next look is due for none.", ("python -m ablations run studies/one_by_one.yaml --profile starter",)
    )


def test_missing_trials_come_first_and_trials_given_up_are_tried_again(summary: StudySummary) -> None:
    first, *rest = summary.variants
    missing = replace(summary, variants=(replace(first, missing_seeds=(3,)), *rest))
    assert step_of(missing).text == "1 confirmation trial has no outcome yet."
    assert step_of(missing).commands[0].endswith("--profile starter")
    trouble = Trouble("crashed", 1, 1, Interval(0.0, 0.1, 0.95), "1 crashed")
    assert step_of(replace(missing, troubles=(trouble,))).commands[0].endswith("--profile starter --retry")


@pytest.mark.parametrize("closed", ["futile", "last look"])
def test_a_closed_comparison_without_a_word_needs_fresh_seeds_at_one_look(
    summary: StudySummary, closed: Closing
) -> None:
    stuck = judged(summary, Verdict.UNDECIDED_MORE_SEEDS, Verdict.WORSE, closed=closed, needed=SeedsNeeded(5, 4, 9))
    first = stuck.contrasts[0]
    number = first.judgement.num_pairs + 5
    edits = f"first_seed: {stuck.seeds[-1] + 1}; at profile starter, seeds: {number}"
    assert step_of(stuck) == NextStep(
        f"Undecided: none. About {number} fresh seeds at one look would decide most such cases. Plan them in a copy of the study: "
        f"{edits}.",
        (
            "python -m ablations init studies/one_by_one_fresh.yaml --from studies/one_by_one.yaml",
            f"# in studies/one_by_one_fresh.yaml, {edits}",
            "python -m ablations run studies/one_by_one_fresh.yaml --profile starter",
        ),
    )
    assert step_of(replace(stuck, looks=(5, 10))).text.endswith(f"{edits} instead of looks.")


def test_fresh_searches_come_whole() -> None:
    summary = STUDIES["several_searches"]()
    text = step_of(summary).text
    found = re.search(r"first_seed: (\d+); at profile starter, tuning.searches: (\d+) and seeds: (\d+)", text)
    assert found is not None, text
    first, searches, seeds = map(int, found.groups())
    assert (first, seeds) == (10, 2 * searches)
    undecided = [c.judgement for c in summary.contrasts if c.judgement.seeds_needed]
    assert searches == max(each.num_pairs + each.seeds_needed.num for each in undecided if each.seeds_needed)


@pytest.mark.parametrize(
    ("recorded", "file"),
    [
        ("python -m ablations run 'my study.yaml'", "one_by_one"),
        ("python -m ablations run one_by_one --profile starter", "one_by_one"),
        ("python -m ablations run --profile starter one_by_one", "one_by_one"),
        ("python -m ablations run here/mine.yml --profile laptop", "here/mine.yml"),
        (["python -m ablations run a.yaml (12 trials)", "python -m ablations run b.yaml (1 trial)"], "a.yaml"),
        ("ablations.load('x').run('starter')", "one_by_one"),
        (None, "one_by_one"),
    ],
)
def test_the_command_has_the_file_of_the_recorded_run(summary: StudySummary, recorded: Any, file: str) -> None:
    is_open = judged(summary, Verdict.UNDECIDED_MORE_SEEDS, closed=None, needed=None)
    step = step_of(replace(is_open, provenance={"command": recorded}))
    assert step.commands == (f"python -m ablations run {file} --profile starter",)


def test_seeds_that_others_have_had_are_not_proposed(summary: StudySummary) -> None:
    stuck = judged(summary, Verdict.UNDECIDED_MORE_SEEDS, closed="last look", needed=SeedsNeeded(5, 4, 9))
    assert "first_seed: 77;" in step_of(replace(stuck, fresh_seed=77)).text
    full = step_of(replace(stuck, fresh_seed=998))
    assert full.text.endswith("but fewer are left below 1,000.")
    assert not full.commands


def test_where_seeds_do_not_help_none_are_proposed(summary: StudySummary) -> None:
    stuck = judged(summary, Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, closed="last look", needed=None)
    assert step_of(stuck) == NextStep("Undecided: none. More seeds would not help; the report names the limit.")


def test_lost_verdicts_come_back_with_the_file_as_it_was(summary: StudySummary) -> None:
    assert step_of(replace(summary, unplanned="the margin was 1 points, and is 2 now")) == NextStep(
        "No verdicts: the margin was 1 points, and is 2 now. They come back with the study file as it was, or on fresh seeds "
        "(first_seed)."
    )
