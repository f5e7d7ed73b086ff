"""The answer in a sentence, and the facts that say how far to trust it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from made_up import MakeStudy

from ablations.analysis.summary import Contrast, StudySummary
from ablations.planning.frozen import Closing
from ablations.reporting import words
from ablations.reporting.answer import MAX_WORDS, answer, predictions, trust
from ablations.stats.judgement import Verdict


def judged(contrast: Contrast, verdict: Verdict, **changes: Any) -> Contrast:
    return replace(contrast, judgement=replace(contrast.judgement, verdict=verdict, **changes))


def with_verdicts(summary: StudySummary, *verdicts: Verdict) -> StudySummary:
    contrasts = (judged(each, verdict) for each, verdict in zip(summary.contrasts, verdicts, strict=False))
    return replace(summary, contrasts=tuple(contrasts))


def facts(summary: StudySummary) -> dict[str, str]:
    return {fact.name: fact.text for fact in trust(summary)}


def test_one_sentence_tells_every_variant_and_the_size_of_each_claim(make_study: MakeStudy) -> None:
    assert answer(make_study("ordinary")) == (
        "Against `two`: `none` and `one` scored 2.18 and 0.81 points lower; `three` and `none_wide` scored the same within 0.5 points."
    )


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (Verdict.WORSE, "`none` scored 2.18 points lower"),
        (Verdict.WORSE_BY_MORE, "`none` scored 2.18 points lower"),
        (Verdict.WORSE_BY_LESS, "`none` scored 2.18 points lower, less than the margin of 0.5 points"),
        (Verdict.BETTER, "`none` scored 2.18 points higher"),
        (Verdict.BETTER_BY_MORE, "`none` scored 2.18 points higher"),
        (Verdict.BETTER_BY_LESS, "`none` scored 2.18 points higher, less than the margin of 0.5 points"),
        (Verdict.EQUIVALENT, "`none` scored the same within 0.5 points"),
        (Verdict.UNDECIDED_MORE_SEEDS, "`none` remains undecided"),
        (Verdict.UNDECIDED_MORE_SEEDS_WILL_NOT_HELP, "`none` remains undecided"),
        (Verdict.UNDECIDED_FUTILE, "`none` remains undecided"),
        (Verdict.EXPLORATORY, "`none` was only explored"),
        (Verdict.NO_VERDICT, "`none` has no verdict"),
    ],
)
def test_every_verdict_has_its_clause(make_study: MakeStudy, verdict: Verdict, told: str) -> None:
    assert answer(with_verdicts(make_study("ordinary"), verdict)) == f"Against `two`: {told}."


def test_a_study_words_its_variants(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    called = {"two": "two 1x1 convolutions", "none": "zero", "three": "three"}
    variants = tuple(replace(each, called=called.get(each.name, "")) for each in summary.variants)
    told = answer(replace(summary, variants=variants))
    assert told.startswith("Against two 1x1 convolutions: zero and `one` scored ")
    assert "three and `none_wide` scored the same" in told


def test_a_long_answer_becomes_a_sentence_for_each_clause(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    variants = tuple(replace(each, called=f"the network {each.name} of many words") for each in summary.variants)
    told = answer(replace(summary, variants=variants))
    assert ". The network three of many words" in told
    assert ";" not in told


def test_many_variants_are_counted(make_study: MakeStudy) -> None:
    summary = make_study("troubled")
    trained = replace(summary, contrasts=summary.contrasts[-7:])
    undecided = [Verdict.UNDECIDED_MORE_SEEDS] * 7
    baseline = "`book_network_as_it_is_printed`"
    assert answer(with_verdicts(trained, *undecided)) == f"Against {baseline}: all 7 variants remain undecided."
    sized = tuple(judged(each, Verdict.BETTER, mean=0.1 * (k + 1)) for k, each in enumerate(trained.contrasts))
    told = answer(replace(trained, contrasts=sized))
    assert told == f"Against {baseline}: all 7 variants scored 0.10 to 0.70 points higher among runs that learned."
    told = answer(summary)
    assert "4 variants have no verdict" in told, "their names are long"
    assert all(len(sentence.split()) <= MAX_WORDS for sentence in told.split(". "))


def test_each_reference_has_its_sentence(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    first, second, *rest = summary.contrasts
    told = answer(replace(summary, contrasts=(first, replace(second, versus=first.variant), *rest)))
    assert told.startswith("Against `two`: `none` scored ")
    assert told.endswith(" Against `none`: `one` scored 0.81 points lower.")


def test_a_claim_says_that_it_is_only_of_runs_that_learned(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    two, none, *others = summary.variants
    failing = replace(summary, variants=(two, replace(none, failed_seeds=(1, 3)), *others))
    assert "`none` scored 2.18 points lower among runs that learned" in answer(failing)
    assert "among runs" not in answer(with_verdicts(failing, Verdict.UNDECIDED_MORE_SEEDS))
    assert "among runs" not in answer(summary)


@pytest.mark.parametrize("lacking", [{"evidence": None}, {"mean": None}, {"num_pairs": 2}])
def test_no_verdict_is_told_without_what_it_rests_on(make_study: MakeStudy, lacking: dict[str, Any]) -> None:
    summary = make_study("ordinary")
    first, *others = summary.contrasts
    with pytest.raises(ValueError, match="none needs its mean, interval and number of pairs"):
        answer(replace(summary, contrasts=(judged(first, Verdict.WORSE, **lacking), *others)))
    silent = judged(first, Verdict.NO_VERDICT, **lacking)
    assert "`none` has no verdict" in answer(replace(summary, contrasts=(silent, *others)))


def test_no_verdict_is_told_without_its_scope_and_margin(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    with pytest.raises(ValueError, match="scope"):
        answer(replace(summary, scope=" "))
    with pytest.raises(ValueError, match="margin"):
        answer(replace(summary, decision=summary.decision.model_copy(update={"margin": 0.0})))


def test_an_answer_where_there_is_none(make_study: MakeStudy) -> None:
    assert answer(make_study("unstarted")) == "There is no answer yet: no confirmation trial has learned."
    failed = replace(make_study("troubled"), variants=(make_study("troubled")["learns_nothing_at_all"],))
    assert answer(failed) == "There is no answer: all confirmation trials ran, and none of them learned."
    assert answer(make_study("alone")).endswith("there is nothing to compare it with.")
    assert "±" not in answer(make_study("alone"))


def test_banned_words_stay_out(make_study: MakeStudy, study_name: str) -> None:
    told = answer(make_study(study_name)).lower()
    assert not any(word in told for word in ("significant", "no effect", "no difference", "trend"))


# Predictions


def with_closing(summary: StudySummary, closed: Closing | None) -> StudySummary:
    contrasts = (replace(each, course=replace(each.course, closed=closed)) for each in summary.contrasts)
    return replace(summary, contrasts=tuple(contrasts))


def test_predictions_are_counted_by_their_outcome(make_study: MakeStudy) -> None:
    summary = with_closing(make_study("ordinary"), None)
    outcomes = ("as expected", "not as expected", "none stated", "open")
    contrasts = tuple(replace(c, expectation=o) for c, o in zip(summary.contrasts, outcomes, strict=True))
    told = predictions(replace(summary, contrasts=contrasts))
    assert told == "Of your 3 predictions, 1 came true, 1 did not come true and 1 could not be checked yet."
    assert predictions(summary) == "None of your 3 predictions could be checked yet."
    assert predictions(replace(summary, contrasts=summary.contrasts[:1])) == "Your prediction could not be checked yet."
    assert predictions(replace(summary, contrasts=summary.contrasts[2:3])) == ""


def test_a_prediction_on_a_closed_comparison_stayed_undecided(make_study: MakeStudy) -> None:
    summary = with_closing(make_study("ordinary"), "last look")
    assert predictions(summary) == "Your 3 predictions stayed undecided."
    assert predictions(replace(summary, contrasts=summary.contrasts[:1])) == "Your prediction stayed undecided."
    first, *rest = summary.contrasts
    true = replace(summary, contrasts=(replace(first, expectation="as expected"), *rest))
    assert predictions(true) == "Of your 3 predictions, 1 came true and 2 stayed undecided."


def test_a_prediction_that_came_true_among_runs_that_learned_says_so(make_study: MakeStudy) -> None:
    summary = make_study("ordinary")
    (two, none, *variants), (first, *others) = summary.variants, summary.contrasts
    true = replace(summary, contrasts=(replace(first, expectation="as expected"), *others))
    failing = replace(true, variants=(two, replace(none, failed_seeds=(1, 3)), *variants))
    assert predictions(failing).endswith(" 1 of them only among runs that learned.")
    assert "among runs" not in predictions(true)


# Facts


def test_the_strip_has_evidence_risk_warnings_profile_data_and_commit(make_study: MakeStudy) -> None:
    found = facts(make_study("ordinary"))
    assert found == {
        "evidence": "5 seeds each",
        "risk of any wrong verdict": "at most 5 %",
        "luck of tuning": "not covered",
        "warnings": "none",
        "caveats": "2",
        "profile": "starter",
        "data": "scikit-learn's handwritten digits",
        "commit": "0123456",
    }


def test_the_strip_tells_searches_looks_and_troubles(make_study: MakeStudy) -> None:
    assert facts(make_study("several_searches"))["evidence"] == "5 searches of 2 seeds"
    assert facts(make_study("several_searches"))["luck of tuning"] == "covered"
    troubled = replace(make_study("troubled"), looks=(5, 10))
    found = facts(troubled)
    assert found["look"] == "1 of 2"
    assert (found["missing trials"], found["runs that did not learn"], found["warnings"]) == ("20", "14", "3")
    several = replace(troubled, provenance={"commit": ["a (3 trials)", "b (1 trial)"]})
    assert facts(several)["commit"] == "2 different"


def test_where_no_verdict_can_be_given_the_strip_claims_no_risk(make_study: MakeStudy) -> None:
    lost = replace(make_study("ordinary"), unplanned="the margin was changed")
    assert facts(lost)["risk of any wrong verdict"] == "no verdicts"


def test_earlier_looks_count_as_warnings(make_study: MakeStudy) -> None:
    assert facts(replace(make_study("ordinary"), history=("a", "b")))["warnings"] == "2"


def test_a_variant_without_pairs_is_no_dot_of_the_range(make_study: MakeStudy) -> None:
    summary = make_study("troubled")
    numbers = sorted({contrast.judgement.num_pairs for contrast in summary.contrasts})
    assert facts(summary)["evidence"] == f"{numbers[0]} to {words.plural(numbers[-1], 'seed')}"
