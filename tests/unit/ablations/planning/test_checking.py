"""All errors of a study file in one message: by line, each once, without those that follow from others."""

from __future__ import annotations

from pathlib import Path

import pytest
from builders import CPU, edited, refusal

import ablations
from ablations.errors import StudyFileError
from ablations.planning.checking import plan_study, read_study

MANY = """\
study: Six
question: Does a bar need a 1x1 convolution?
base:
  data: {name: synthetic, validation: 64, resize: 16}
  model: {preset: nin_small, widht: 0.25, normalization: batch}
  train: {epochs: two, batch_size: 32, lr: 0.05}
search_space:
  train.lr: {type: float, low: 0.2, high: 0.01, log: true}
  train.momentum: {type: floaty, low: 0.2, high: 0.9}
seeds: 3
seeds: 4
baseline: bach
variants:
  batch:
  none:
    set: {model.normalization: non}
    expect: bad
  twin: {set: {model.mixers: 2}}
  alone: {set: {model.mixers: 1}, versus: nothing}
  wide:
    set: {model.mixers: 0, modle.head: gmp, train.lr: -1}
    match: {params: nobody, by: model.width}
decision: {margin: -1.0}
profiles:
  starter: {description: as it is}
  short: {description: short, set: {train.epoch: 1, model.normalization: none}}
  three: {seeds: 5, looks: [5, 4]}
"""


def places(message: str) -> list[str]:
    """`line: keys` of each line of a message."""
    return [f"{line.split(':')[1]} {line.split(': ')[1]}" for line in message.splitlines()]


def test_errors_of_all_kinds_are_reported_at_once_and_by_line() -> None:
    assert places(refusal(MANY)) == [
        "1 study",
        "5 base.model.widht",
        "6 base.train.epochs",
        "8 search_space.train.lr",
        "9 search_space.train.momentum.type",
        "11 seeds",
        "12 baseline",
        "16 variants.none.set.model.normalization",
        "17 variants.none.expect",
        "18 variants.twin",
        "19 variants.alone.versus",
        "21 variants.wide.set.modle.head",
        "21 variants.wide.set.train.lr",
        "22 variants.wide.match.params",
        "23 decision.margin",
        "26 profiles.short.set.train.epoch",
        "26 profiles.short.set.model.normalization",
        "27 profiles.three",
        "27 profiles.three.looks",
    ]


def test_python_reports_them_all_too(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(MANY)
    with pytest.raises(StudyFileError) as caught:
        ablations.load(path)
    assert str(caught.value).replace(str(path), "s.yaml") == refusal(MANY)


@pytest.mark.parametrize(
    ("replacements", "expected"),
    [
        # The base, of which every variant and profile is made.
        ([("preset: nin_small", "preset: nin_smal")], ["5 base.model.preset"]),
        ([("preset: nin_small, ", "")], ["5 base.model"]),
        ([("name: synthetic", "name: synthetik")], ["4 base.data.name"]),
        ([("name: synthetic, ", "")], ["4 base.data"]),
        ([("validation: 64", "validation: 0")], ["4 base.data.validation"]),
        ([("validation: 64", "validation: 1000000")], ["4 base.data.validation"]),
        ([("width: 0.25", "width: -1")], ["5 base.model.width"]),
        ([("lr: 0.05", "lr: '0.05'")], ["6 base.train.lr"]),
        ([("  train: {epochs: 3, batch_size: 32, lr: 0.05}\n", "")], ["3 base"]),
        ([("  model: {preset: nin_small, width: 0.25}\n", "")], ["3 base"]),
        # What others name.
        ([("baseline: two", "baseline: zwei")], ["11 baseline"]),
        ([("  two:\n", "  Two:\n"), ("baseline: two", "baseline: one"), (", expect: worse", "")], ["13 variants.Two"]),
        ([("  two:\n", "  Two:\n"), ("baseline: two", "baseline: one")], ["13 variants.Two", "14 variants.one.expect"]),
        ([("  two:\n", "  two: 3\n")], ["13 variants.two"]),
        ([("  two:\n", "  two: {set: {model.head: gap, model.width: 0}}\n")], ["13 variants.two.set.model.width"]),
        ([("  one: {", "  one: {match: {params: two, by: model.with}, ")], ["14 variants.one.match.by"]),
        ([("tolerance: 0.2", "tolerance: 2")], ["17 variants.wide.match.tolerance"]),
        ([("set: {model.mixers: 0}", "set: 0")], ["16 variants.wide.set"]),
        ([("low: 0.01", "low: 0.3")], ["8 search_space.train.lr"]),
        ([("low: 0.01", "low: nothing"), ("{trials", "{start_points: [{train.lr: 0.1}], trials")], ["8 search_space.train.lr.low"]),
        ([("low: 0.01", "low: 0.1"), ("{trials", "{start_points: 3, trials")], ["9 tuning.start_points"]),
        ([("seeds: 2", "seeds: two\nfirst_seed: 999")], ["10 seeds"]),
        ([("    set: {train.epochs: 1}", "    presets: {nin_small: nin_smal}")], ["23 profiles.short.presets.nin_small"]),
        ([("  one: {", "  eins: {versus: one, set: {model.mixers: 3}}\n  one: {versus: eins, ")], ["14 variants.eins.versus"]),
        ([("expect: worse", "versus: one")], ["14 variants.one.versus"]),
        ([("  two:\n", "  two: 3\n"), ("baseline: two", "baseline: three")], ["13 variants.two"]),
        ([("epochs: 3", "epochs: three, warmup_epochs: 2")], ["6 base.train.epochs"]),
        ([("lr: 0.05", "lr: 0.05, warmup_epochs: 3")], ["6 base.train.warmup_epochs", "23 profiles.short.set.train.epochs"]),
        # Two by themselves.
        ([("width: 0.25", "width: -1"), ("set: {model.mixers: 0}", "set: {model.mixers: 9}")], ["5 base.model.width", "16 variants.wide.set.model.mixers"]),
        ([("preset: nin_small", "preset: nin_smal"), ("{model.mixers: 1}", "{train.momentum: -1}")], ["5 base.model.preset", "14 variants.one.set.train.momentum"]),
        ([("width: 0.25", "width: -1, dropout: 2")], ["5 base.model.width", "5 base.model.dropout"]),
        ([("seeds: 2", "seeds: 2\ngrid: {train.lrr: [0.1], model.head: [gap, gab]}")], ["11 grid.train.lrr", "11 grid.model.head"]),
    ],
)  # fmt: skip
def test_an_error_that_follows_from_another_is_left_out(
    replacements: list[tuple[str, str]], expected: list[str]
) -> None:
    assert places(refusal(edited(*replacements))) == expected


def test_an_error_of_one_profile_stops_no_other_and_is_reported_beside_errors_of_another(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(edited(("set: {train.epochs: 1}", "set: {train.epoch: 1}")))
    file = read_study(path)
    assert plan_study(file, "starter", CPU).profile == "starter"
    path.write_text(edited(("set: {train.epochs: 1}", "set: {train.epoch: 1}"), ("model.mixers: 1", "model.mixer: 1")))
    file = read_study(path)
    for profile in file.spec.profiles:
        with pytest.raises(StudyFileError) as caught:
            plan_study(file, profile, CPU)
        assert places(str(caught.value).replace(str(path), "s.yaml")) == [
            "14 variants.one.set.model.mixer",
            "23 profiles.short.set.train.epoch",
        ]


def test_an_unknown_profile_is_no_error_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(edited(("set: {train.epochs: 1}", "set: {train.epoch: 1}")))
    with pytest.raises(StudyFileError, match="no profile 'strater'; did you mean 'starter'") as caught:
        plan_study(read_study(path), "strater", CPU)
    assert len(str(caught.value).splitlines()) == 1


def test_a_merge_key_is_refused_and_what_it_brings_is_not_missing() -> None:
    text = edited(
        ("  train: {epochs: 3, batch_size: 32, lr: 0.05}", "  train: {<<: {epochs: 3, batch_size: 32}, lr: 0.05}")
    )
    assert places(refusal(text)) == ["6 base.train.<<"]
