"""StudySpec + profile + machine -> Plan: variants, their keys, looks, and limits of size."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from builders import CPU, TEXT, complaint, edited, planned, refusal
from counting import counted
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ablations import networks
from ablations.errors import SpecError
from ablations.planning.axes import MAX_VARIANTS
from ablations.planning.plan import Plan
from ablations.planning.planner import MAX_PRICED, make_plan
from ablations.studyfile.distributions import MAX_CHOICES
from ablations.studyfile.spec import StudySpec


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("seeds: 2", "seeds: 999999999"), "s.yaml:20:3: profiles.starter: first_seed plus the seeds of a look must be at most 1,000; given 0 and 999,999,999."),
        (("{trials: 2", "{trials: 999999999"), "s.yaml:20:3: profiles.starter: 3 variants x (1,000,000,000 tuning trials + 2 seeds) are"),
        (("rerun_seeds: 1", "rerun_seeds: 999999999"), "s.yaml:9:49: tuning.rerun_seeds: must be below 100; given 999999999."),
        (("rerun_seeds: 1}", "rerun_seeds: 1, searches: 2}"), "s.yaml:9:62: tuning.searches: searches must be 1, or at least 3: 2 say too little of how far searches scatter"),
        (("rerun_seeds: 1}", "rerun_seeds: 1, searches: 3}"), "s.yaml:20:3: profiles.starter: the 2 seeds must divide into the 3 searches of tuning.searches; use 3 seeds, or another number of searches."),
        (("{model.mixers: 1}", "{model.mixers: 2}"), "s.yaml:14:3: variants.one: has the same configuration as 'two'; every variant must differ from the others."),
        (("{model.mixers: 1}", "{}"), "s.yaml:14:3: variants.one: has the same configuration as 'two'; every variant must differ from the others."),
    ],
)  # fmt: skip
def test_studies_that_are_refused(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement))[: len(message)] == message


def test_an_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(SpecError) as caught:
        make_plan(StudySpec.model_validate(_tree()), "strater", CPU)
    assert str(caught.value) == "profiles: no profile 'strater'; did you mean 'starter'?"


def test_too_many_variants_are_refused_with_their_count() -> None:
    tree = _of_variants(MAX_VARIANTS + 1)
    with pytest.raises(SpecError, match=r"^variants: 1,001 variants; at most 1,000 are allowed\.$"):
        make_plan(StudySpec.model_validate(tree), "starter", CPU)


def test_too_many_trainings_are_refused_with_their_count() -> None:
    tree = _of_variants(MAX_VARIANTS) | {"seeds": 98}
    with pytest.raises(SpecError, match=r"1,000 variants x .* are 101,000 trainings; at most 100,000 are allowed"):
        make_plan(StudySpec.model_validate(tree), "starter", CPU)


def test_as_many_variants_as_there_may_be_are_planned_and_each_priced_once(monkeypatch: pytest.MonkeyPatch) -> None:
    priced = counted(monkeypatch, networks, "costs")
    assert len(make_plan(StudySpec.model_validate(_of_variants(MAX_VARIANTS)), "starter", CPU).variants) == MAX_VARIANTS
    assert len(priced) == MAX_VARIANTS


def test_a_search_of_too_many_networks_is_refused_before_any_is_priced(monkeypatch: pytest.MonkeyPatch) -> None:
    values = [round(0.001 * n, 3) for n in range(MAX_CHOICES)]
    tree = _of_variants(MAX_PRICED // MAX_CHOICES + 1)
    tree["search_space"] = {"model.dropout": {"type": "categorical", "choices": values}}
    priced = counted(monkeypatch, networks, "costs")
    with pytest.raises(SpecError) as caught:
        make_plan(StudySpec.model_validate(tree), "starter", CPU)
    assert priced == []
    assert str(caught.value) == (
        "search_space: 101 variants x 100 values of searched dials are 10,100 networks to price; at most 10,000 are allowed."
    )


def _of_variants(count: int) -> dict[str, Any]:
    return _tree() | {
        "baseline": "v0",
        "variants": {f"v{n}": {"set": {"train.momentum": n / 2000}} for n in range(count)},
    }


def _tree() -> dict[str, Any]:
    import yaml

    tree: dict[str, Any] = yaml.safe_load(TEXT)
    return tree


def test_a_variant_without_words_is_described_by_its_changes() -> None:
    plan = planned()
    assert [variant.description for variant in plan.variants] == [
        "the base as it is",
        "model.mixers = 1",
        f"model.mixers = 0, model.width = {plan['wide'].changes['model.width']}",
    ]


# Order


def test_the_baseline_comes_first_and_the_others_as_written() -> None:
    assert [v.name for v in planned(edited(("baseline: two", "baseline: wide"))).variants] == ["wide", "two", "one"]


# Identity


@pytest.mark.parametrize(
    ("replacement", "changes"),
    [
        (("seeds: 2\n", "seeds: 3\n"), False),
        (("{margin: 5.0}", "{margin: 1.0}"), False),
        (("Does a bar", "Why does a bar"), False),
        (("expect: worse", "expect: better"), False),
        (("  one:", "  eins:"), False),
        (("{trials: 2", "{trials: 3"), True),
        (("rerun_best: 1", "rerun_best: 2"), True),
        (("rerun_seeds: 1", "rerun_seeds: 2"), True),
        (("{trials: 2", "{sampler: random, trials: 2"), True),
        (("{trials: 2", "{seed: 1, trials: 2"), True),
        (("{trials: 2", "{pruner: median, trials: 2"), True),
        (("{trials: 2", "{start_points: [{train.lr: 0.1}], trials: 2"), True),
        (("low: 0.01", "low: 0.02"), True),
        (("log: true", "log: false"), True),
        (("lr: 0.05", "lr: 0.05, momentum: 0.9"), True),
        (("resize: 16", "resize: 17"), True),
    ],
)
def test_a_variants_key_changes_with_what_decides_its_tuning(replacement: tuple[str, str], changes: bool) -> None:
    assert (planned(edited(replacement))["two"].key != planned()["two"].key) is changes


def test_a_variants_key_changes_with_the_machine() -> None:
    assert planned(machine=replace(CPU, device="cuda"))["two"].key != planned()["two"].key
    assert planned(machine=replace(CPU, bf16=True))["two"].key != planned()["two"].key
    assert planned(machine=replace(CPU, num_workers=9, description="x"))["two"].key == planned()["two"].key


def test_a_new_variant_leaves_the_others_as_they_are() -> None:
    plan = planned(edited(("  two:\n", "  two:\n  three: {set: {model.mixers: 3}}\n")))
    for name in ("two", "one", "wide"):
        assert plan[name].key == planned()[name].key
        assert (
            plan.trial(name, "confirm", 0, {"train.lr": 0.1}).id
            == planned().trial(name, "confirm", 0, {"train.lr": 0.1}).id
        )


def test_every_variant_of_a_plan_has_its_own_key() -> None:
    assert len({variant.key for variant in planned().variants}) == 3


# Whatever is accepted can be planned

_DIALS = st.fixed_dictionaries(
    {},
    optional={
        "model.mixers": st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=4, max_size=4),
        "model.mixer_kernel": st.sampled_from([1, 3]),
        "model.head": st.sampled_from(["gap", "gmp", "dense", "dense_dropout"]),
        "model.dropout": st.floats(0, 0.99),
        "model.channels": st.lists(st.integers(1, 12), min_size=3, max_size=3),
        "model.pools": st.booleans() | st.lists(st.booleans(), min_size=3, max_size=3),
        "model.normalization": st.sampled_from(["none", "batch"]),
        "train.batch_size": st.integers(1, 500),
        "train.weight_decay": st.floats(0, 1),
        "train.optimizer": st.sampled_from(["sgd", "adamw"]),
    },
)


_SPACES = st.fixed_dictionaries(
    {},
    optional={
        "train.lr": st.floats(1e-6, 0.04).map(lambda low: {"type": "float", "low": low, "high": 0.5, "log": True}),
        "train.momentum": st.floats(0.1, 0.99).map(lambda high: {"type": "float", "low": 0, "high": high}),
        "train.warmup_epochs": st.integers(1, 2).map(lambda high: {"type": "int", "low": 0, "high": high}),
        "train.nesterov": st.just({"type": "categorical", "choices": [False, True]}),
        "train.init": st.permutations(["default", "kaiming_normal"]).map(
            lambda each: {"type": "categorical", "choices": each}
        ),
    },
)


@given(
    variants=st.dictionaries(st.from_regex(r"[a-z0-9][a-z0-9_]{0,9}", fullmatch=True), _DIALS, min_size=1, max_size=4),
    space=_SPACES,
    tuning=st.fixed_dictionaries(
        {"trials": st.integers(1, 9), "rerun_best": st.integers(1, 9), "rerun_seeds": st.integers(0, 3)}
    ),
    seeds=st.integers(1, 9),
    question=st.text(min_size=1, max_size=99).filter(str.isprintable),
)
@example(
    variants={"0": {"model.mixers": 1, "train.batch_size": 1}}, space={}, tuning={"trials": 1, "rerun_best": 1, "rerun_seeds": 0},
    seeds=1, question="0",
)  # fmt: skip
@settings(max_examples=40, deadline=None)
def test_what_is_accepted_is_planned_and_survives_json(
    variants: dict[str, dict[str, Any]], space: dict[str, Any], tuning: dict[str, int], seeds: int, question: str
) -> None:
    tree = _tree() | {
        "question": question,
        "baseline": next(iter(variants)),
        "variants": {name: {"set": dials} for name, dials in variants.items()},
        "search_space": space,
        "tuning": tuning,
        "seeds": seeds,
    }
    try:
        plan = make_plan(StudySpec.model_validate(tree), "starter", CPU)
    except SpecError as error:
        # Small maps leave batch normalisation one value of a batch of one.
        is_batch_of_one = any(dials.get("train.batch_size") == 1 for dials in variants.values())
        rule = "batch normalisation needs at least two values per channel"
        assert "the same configuration" in error.problem or (is_batch_of_one and rule in error.problem)  # noqa: PT017
        return
    assert Plan.from_json(json.dumps(plan.to_json())) == plan
    num_tune = tuning["trials"] + min(tuning["rerun_best"], tuning["trials"]) * tuning["rerun_seeds"] if space else 0
    assert len(plan.cells) == len(variants) * (num_tune + seeds)
    for variant in plan.variants:
        trial = plan.trial(variant.name, "tune", 0, (plan.tuning.start_points or [{}])[0])
        assert trial.config == variant.config, "the first start point is the base"


def test_the_study_of_these_tests_is_accepted() -> None:
    assert complaint(TEXT) is None


# Looks


def test_one_look_is_planned_unless_the_profile_says_more() -> None:
    plan = planned()
    assert (plan.looks, plan.seeds) == ((2,), (0, 1))


LOOKS = ("description: less of it", "description: less of it\n    looks: [5, 8, 12]")


def test_a_profile_plans_looks_and_the_seeds_of_the_last() -> None:
    plan = planned(edited(LOOKS), "short")
    assert (plan.looks, plan.seeds) == ((5, 8, 12), tuple(range(12)))
    assert planned(edited(LOOKS)).looks == (2,)
    assert [v.key for v in plan.variants] == [v.key for v in planned(profile="short").variants]


@pytest.mark.parametrize(
    ("looks", "message"),
    [
        ("[5, 5]", "looks must be increasing numbers of seeds from 5 on, such as [5, 8, 12, 18]; given [5, 5]."),
        ("[8, 5]", "looks must be increasing numbers of seeds from 5 on, such as [5, 8, 12, 18]; given [8, 5]."),
        ("[4, 8]", "looks must be increasing numbers of seeds from 5 on, such as [5, 8, 12, 18]; given [4, 8]."),
        ("[5, 1001]", "first_seed plus the seeds of a look must be at most 1,000; given 0 and 1,001."),
        ("[5]\n    seeds: 5", "a profile must not have both seeds and looks: seeds is one look; remove one."),
        ("[]", "given []"),
        ("10", "given 10"),
    ],
)
def test_looks_that_are_refused(looks: str, message: str) -> None:
    assert message in refusal(edited((LOOKS[0], LOOKS[1].replace("[5, 8, 12]", looks))))


def test_looks_beside_the_profiles_are_told_where_they_belong() -> None:
    text = edited(("seeds: 2", "looks: [5, 8]"))
    assert (
        refusal(text)
        == "s.yaml:10:1: looks: looks is a key of a profile: write it below the profile's name in profiles."
    )


def test_the_key_of_older_versions_is_told_what_replaced_it() -> None:
    assert refusal(edited(("seeds: 2", "seeds: 2\nextend_to: 20"))).startswith(
        "s.yaml:11:1: extend_to: extend_to has become looks: write the numbers of seeds of all looks into the profile, such as "
        "looks: [10, 20]."
    )
