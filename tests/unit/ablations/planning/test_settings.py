"""Base, profile and variant as layers: what they resolve to, and what they may not set."""

from __future__ import annotations

from dataclasses import replace

import pytest
from builders import CPU, edited, planned, refusal


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        # unknown dotted keys
        (("preset: nin_small", "preset: nin_smal"), "s.yaml:5:19: base.model.preset: no preset 'nin_smal'; did you mean 'nin_small'?"),
        (("preset: nin_small", "preset: 3"), "s.yaml:5:19: base.model.preset: no preset 3; known here: "),
        (("preset: nin_small, ", ""), "s.yaml:5:3: base.model: the key 'preset' is missing; known here: "),
        (("width: 0.25", "widht: 0.25"), "s.yaml:5:30: base.model.widht: unknown key 'model.widht'; did you mean 'model.width'?"),
        (("name: synthetic", "name: synthetik"), "s.yaml:4:16: base.data.name: no data set 'synthetik'; did you mean 'synthetic'?"),
        (("{model.mixers: 1}", "{model.mixrs: 1}"), "s.yaml:14:15: variants.one.set.model.mixrs: unknown key 'model.mixrs'; did you mean 'model.mixers'?"),
        (("{model.mixers: 1}", "{mixers: 1}"), "s.yaml:14:15: variants.one.set.mixers: unknown key 'mixers'; did you mean 'model.mixers'?"),
        (("{model.mixers: 1}", "{lr: 1}"), "s.yaml:14:15: variants.one.set.lr: unknown key 'lr'; did you mean 'train.lr'?"),
        (
            ("{model.mixers: 1}", "{model: {mixers: 1}}"),
            "s.yaml:14:15: variants.one.set.model: unknown key 'model'; write its keys dotted, such as 'model.preset'.",
        ),
        (("{train.epochs: 1}", "{train.epoch: 1}"), "s.yaml:23:11: profiles.short.set.train.epoch: unknown key 'train.epoch'; did you mean 'train.epochs'?"),
        # wrong values behind dotted keys
        (("{train.epochs: 1}", "{train.epochs: -1}"), "s.yaml:23:25: profiles.short.set.train.epochs: must be above 0; given -1."),
        (("{train.epochs: 1}", "{train.lr: '1e-5'}"), "s.yaml:23:21: profiles.short.set.train.lr: must be a number; given '1e-5'. Write it without quotes."),
        (("{model.mixers: 1}", "{model.mixers: 9}"), "s.yaml:14:29: variants.one.set.model.mixers: must be 0 to 3, it is 9."),
        (("{model.mixers: 1}", "{model.mixers: true}"), "s.yaml:14:29: variants.one.set.model.mixers: must be an integer or a list, each entry an integer; it is True."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: .nan}"), "s.yaml:14:45: variants.one.set.model.width: must be a finite number above 0, it is nan."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: .inf}"), "s.yaml:14:45: variants.one.set.model.width: must be a finite number above 0, it is inf."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.class_steps: [8, 8]}"), "s.yaml:14:32: variants.one.set.model.class_steps: may have at most one entry per mixer of the class block, 1; it has 2."),
        (("width: 0.25", "width: 0.25, class_steps: [1, 1, 1]"), "s.yaml:5:43: base.model.class_steps: may have at most one entry"),
        # data
        (("resize: 16", "resize: 1025"), "s.yaml:4:51: base.data.resize: images may have at most 1,024 pixels per side; given 1,025."),
        (
            ("validation: 64", "validation: 253"),
            "s.yaml:4:39: base.data.validation: validation must be from 4 (one image per class) to 252 of the 256 training images of synthetic bars; given 253.",
        ),
        (("validation: 64", "validation: 3"), "s.yaml:4:39: base.data.validation: validation must be from 4 (one image per class) to"),
        (("validation: 64", "validation: 64, train_size: 193"), "s.yaml:4:55: base.data.train_size: train_size must be from 4 to the 192 images that validation leaves; given 193."),
        (("{model.mixers: 1}", "{data.name: digits}"), "s.yaml:14:15: variants.one.set.data.name: all variants must use the same data; choose the data set in the base or in a profile."),
        # the question and the scale
        (("{train.epochs: 1}", "{model.mixers: 3}"), "s.yaml:23:11: profiles.short.set.model.mixers: a profile may change the scale but not the question, and variants differ in 'model.mixers'; remove it here."),
        (("{train.epochs: 1}", "{model.width: 3}"), "s.yaml:23:11: profiles.short.set.model.width: a profile may change the scale but not the question, and variants differ in 'model.width'; remove it here."),
    ],
)  # fmt: skip
def test_settings_that_a_study_may_not_have(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement))[: len(message)] == message


def test_a_variant_lies_over_the_profile_and_the_profile_over_the_base() -> None:
    text = edited(
        ("{train.epochs: 1}", "{train.epochs: 1, train.batch_size: 8, model.dropout: 0.25}"),
        ("{model.mixers: 1}", "{model.mixers: 1, train.momentum: 0.9}"),
        ("lr: 0.05", "lr: 0.05, momentum: 0.5"),
    )
    plan = planned(text, "short")
    one, two = plan["one"].config, plan["two"].config
    assert (one.train.momentum, two.train.momentum) == (0.9, 0.5)
    assert (one.train.epochs, one.train.batch_size, one.model.dropout) == (1, 8, 0.25)
    assert (one.train.lr, one.data.validation, one.model.width) == (0.05, 64, 0.25)
    assert (one.model.mixers, two.model.mixers) == (1, 2)  # type: ignore[union-attr]
    assert planned(text, "starter")["two"].config.train.epochs == 3


@pytest.mark.parametrize(("bf16", "precision"), [(True, "bf16"), (False, "fp32")])
def test_the_machine_decides_the_precision_only_where_it_is_left_open(bf16: bool, precision: str) -> None:
    machine = replace(CPU, bf16=bf16)
    assert planned(machine=machine)["two"].config.train.precision == precision
    fixed = edited(("lr: 0.05", "lr: 0.05, precision: fp32"))
    assert planned(fixed, machine=machine)["two"].config.train.precision == "fp32"


def test_caveats_are_what_the_profile_fixes_otherwise() -> None:
    text = edited(("{train.epochs: 1}", "{train.epochs: 1, train.lr: 0.05, model.dropout: 0.1, train.momentum: 0.9}"))
    assert planned(text, "short", replace(CPU, bf16=True)).caveats == (
        "train.epochs is 1 (the study's base: 3)",
        "model.dropout is 0.1",
        "train.momentum is 0.9 (the study's base: 0.0)",
        "training computes in bf16 (the weights stay fp32)",
        "Drawn by the suite for its own tests; says nothing about networks.",
    )
