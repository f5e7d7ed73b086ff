"""Variants that axes make, what they are compared with, and networks that stand in at a profile's scale."""

from __future__ import annotations

import pytest
from builders import edited, planned, refusal

from nin.presets import PRESETS

BASELINE = "baseline: two\n"


def with_axis(text: str) -> str:
    return edited((BASELINE, f"{text}\n{BASELINE}"))


def names(text: str) -> list[str]:
    return [variant.name for variant in planned(text).variants]


def test_a_grid_crosses_its_axes_after_the_named_variants() -> None:
    plan = planned(with_axis("grid: {train.init: [default, kaiming_normal], train.momentum: [0.5, 0.9]}"))
    made = [variant.name for variant in plan.variants[3:]]
    assert made == [
        "init_default_momentum_0_5",
        "init_default_momentum_0_9",
        "init_kaiming_normal_momentum_0_5",
        "init_kaiming_normal_momentum_0_9",
    ]
    assert plan["init_kaiming_normal_momentum_0_9"].config.train.init == "kaiming_normal"
    assert plan["init_kaiming_normal_momentum_0_9"].config.train.momentum == 0.9


def test_the_baseline_among_a_grid_is_not_run_twice() -> None:
    assert names(with_axis("grid: {train.momentum: [0.0, 0.9]}"))[3:] == ["momentum_0_9"]


def test_zipped_axes_move_together() -> None:
    plan = planned(with_axis("zip: {model.dropout: [0.1, 0.2], train.momentum: [0.5, 0.9]}"))
    assert [variant.name for variant in plan.variants[3:]] == ["dropout_0_1_momentum_0_5", "dropout_0_2_momentum_0_9"]


def test_leave_one_out_changes_one_key_at_a_time() -> None:
    plan = planned(with_axis("leave_one_out: {model.normalization: none, train.momentum: 0.9}"))
    assert [variant.name for variant in plan.variants[3:]] == ["without_normalization", "without_momentum"]
    assert plan["without_normalization"].config.train.momentum == 0.0


def test_zipped_lists_have_the_same_length() -> None:
    assert refusal(with_axis("zip: {model.dropout: [0.1], train.momentum: [0.5, 0.9]}")) == (
        "s.yaml:11:1: zip: zipped lists must have the same length; given model.dropout 1, train.momentum 2."
    )


def test_a_grid_of_a_million_is_refused_with_its_count() -> None:
    hundred = str([round(0.001 * n, 3) for n in range(1, 101)])
    text = with_axis(f"grid: {{train.momentum: {hundred}, model.dropout: {hundred}, train.weight_decay: {hundred}}}")
    assert refusal(text) == "s.yaml:11:1: grid: 100 x 100 x 100 are 1,000,000 variants; at most 1,000 are allowed."


@pytest.mark.parametrize(
    ("axis", "message"),
    [
        (f"zip: {{train.momentum: {[n / 2000 for n in range(1, 1002)]}}}", "zip: 1,001 variants; at most 1,000 are allowed."),
        (f"leave_one_out: {{{', '.join(f'k{n}: 1' for n in range(1001))}}}", "leave_one_out: 1,001 variants; at most 1,000 are allowed."),
        # 3^9500 has more digits than Python writes out.
        (
            f"grid: {{{', '.join(f'k{n}: [1, 2, 3]' for n in range(9500))}}}",
            f"grid: {'3 x ' * 19}3... are more than 10^15 variants; at most 1,000 are allowed.",
        ),
    ],
    ids=["zip", "leave_one_out", "grid of thousands of axes"],
)  # fmt: skip
def test_an_axis_that_makes_too_many_variants_is_refused_with_their_count(axis: str, message: str) -> None:
    assert refusal(with_axis(axis)) == f"s.yaml:11:1: {message}"


def test_a_point_says_where_its_value_is_written() -> None:
    assert refusal(with_axis("grid: {train.momentum: [0.5, 1.5]}")).startswith("s.yaml:11:8: grid.train.momentum: ")


def test_a_point_may_not_take_the_name_of_a_variant() -> None:
    text = edited(("  one: {", "  momentum_0_9: {"), (BASELINE, f"grid: {{train.momentum: [0.9]}}\n{BASELINE}"))
    assert "two variants would have the name 'momentum_0_9'" in refusal(text)


def test_a_profile_may_not_set_the_key_of_an_axis() -> None:
    text = edited(
        ("{train.epochs: 1}", "{train.momentum: 0.5}"), (BASELINE, f"grid: {{train.momentum: [0.9]}}\n{BASELINE}")
    )
    assert "a profile may change the scale but not the question" in refusal(text)


def test_a_variant_is_compared_with_the_baseline_or_with_what_it_says() -> None:
    plan = planned(edited(("    match: {", "    versus: one\n    match: {")))
    assert {variant.name: variant.versus for variant in plan.variants} == {"two": "two", "one": "two", "wide": "one"}


@pytest.mark.parametrize(
    ("versus", "rule"),
    [
        ("noe", "versus must name another variant; given 'noe'; did you mean 'one'?"),
        ("wide", "comparisons must not form a circle; given wide -> wide."),
    ],
)
def test_versus_names_another_variant(versus: str, rule: str) -> None:
    assert rule in refusal(edited(("    match: {", f"    versus: {versus}\n    match: {{")))


def test_versus_does_not_go_in_a_circle() -> None:
    text = edited(
        ("one: {set: {model.mixers: 1}, ", "one: {set: {model.mixers: 1}, versus: wide, "),
        ("    match: {", "    versus: one\n    match: {"),
    )
    assert "versus: comparisons must not form a circle; given one -> wide -> one." in refusal(text)


@pytest.mark.parametrize("key", ["versus: one", "expect: better"])
def test_the_baseline_is_compared_with_nothing(key: str) -> None:
    name = key.partition(":")[0]
    assert refusal(edited(("  two:\n", f"  two: {{{key}}}\n"))) == (
        f"s.yaml:13:9: variants.two.{name}: the baseline is compared with no other variant; remove this key."
    )


def test_a_profile_names_networks_that_stand_in_for_larger_ones() -> None:
    small = edited(
        ("{preset: nin_small, width: 0.25}", "{preset: nin_book}"),
        ("    set: {train.epochs: 1}", "    presets: {nin_book: nin_small}"),
        ("  starter: {description: all of it}\n", ""),
    )
    plan = planned(small, "short")
    assert plan["two"].config.model == PRESETS["nin_small"]
    assert "nin_small replaces nin_book" in plan.caveats


def test_a_preset_that_stands_in_must_exist() -> None:
    text = edited(("    set: {train.epochs: 1}", "    presets: {nin_small: nin_smal}"))
    assert (
        refusal(text)
        == "s.yaml:23:26: profiles.short.presets.nin_small: no preset 'nin_smal'; did you mean 'nin_small'?"
    )
