"""What a study file may say: wrong keys, types and values, each with its place, its rule and a way out."""

from __future__ import annotations

import subprocess
import sys

import pytest
from builders import CONDITIONAL, TEXT, edited, planned, refusal
from hypothesis import given
from hypothesis import strategies as st

from ablations.studyfile.distributions import CategoricalDistribution, SearchSpace, active, conditions, where_clause
from ablations.studyfile.loading import parse
from ablations.studyfile.spec import Match, StudySpec
from ablations.text import closest, nearest, readable, shown


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        # unknown and misspelt keys, at every level
        (("question:", "qestion:"), "s.yaml:2:1: qestion: unknown key 'qestion'; did you mean 'question'?"),
        (("validation:", "validatoin:"), "s.yaml:4:27: base.data.validatoin: unknown key 'validatoin'; did you mean 'validation'?"),
        (("epochs: 3", "epoch: 3"), "s.yaml:6:11: base.train.epoch: unknown key 'epoch'; did you mean 'epochs'?"),
        (("low:", "lo:"), "s.yaml:8:27: search_space.train.lr.lo: unknown key 'lo'; did you mean 'low'?"),
        (("{trials:", "{trails:"), "s.yaml:9:10: tuning.trails: unknown key 'trails'; did you mean 'trials'?"),
        (("expect:", "expct:"), "s.yaml:14:33: variants.one.expct: unknown key 'expct'; did you mean 'expect'?"),
        (("{params:", "{param:"), "s.yaml:17:13: variants.wide.match.param: unknown key 'param'; did you mean 'params'?"),
        (("{margin:", "{margn:"), "s.yaml:18:12: decision.margn: unknown key 'margn'; did you mean 'margin'?"),
        (("    description:", "    descripton:"), "s.yaml:22:5: profiles.short.descripton: unknown key 'descripton'; did you mean 'description'?"),
        (
            ("all of it}", "all of it, tuning: {trails: 1}}"),
            "s.yaml:20:46: profiles.starter.tuning.trails: unknown key 'trails'; did you mean 'trials'?",
        ),
        (
            ("decision: {margin: 5.0}", "decision: {margin: 5.0, zzz: 1}"),
            "s.yaml:18:25: decision.zzz: unknown key 'zzz'; known here: alpha, margin.",
        ),
        (
            ("question:", "qu\u0435stion:"),  # a Cyrillic e
            "s.yaml:2:1: qu\\u0435stion: unknown key 'qu\\u0435stion'; did you mean 'question'?",
        ),
        # missing keys
        (("seeds: 2\nbaseline: two\n", ""), "s.yaml:1:1: the key 'baseline' is missing."),
        (("validation: 64, ", ""), "s.yaml:4:3: base.data: the key 'validation' is missing."),
        (("epochs: 3, batch_size: 32, ", ""), "s.yaml:6:3: base.train: the keys 'epochs', 'batch_size' are missing."),
        (("type: float, ", ""), "s.yaml:8:3: search_space.train.lr: the key 'type' is missing."),
        # wrong types
        (("study: tiny", "study: 12"), "s.yaml:1:8: study: must be text; given 12. Put it in quotes."),
        (("study: tiny", "study:"), "s.yaml:1:7: study: must be text; given nothing."),
        (("question: Does a bar", "question: [1]\nsource: a bar"), "s.yaml:2:1: question: must be text; given [1]."),
        (("epochs: 3", "epochs: '3'"), "s.yaml:6:19: base.train.epochs: must be a whole number; given '3'. Write it without quotes."),
        (("epochs: 3", "epochs: 0x3"), "s.yaml:6:19: base.train.epochs: must be a whole number; given '0x3'."),
        (("epochs: 3", "epochs: 3.0"), "s.yaml:6:19: base.train.epochs: must be a whole number; given 3.0."),
        (("epochs: 3", "epochs: true"), "s.yaml:6:19: base.train.epochs: must be a whole number; given true."),
        (("lr: 0.05", "lr: '1e-5'"), "s.yaml:6:42: base.train.lr: must be a number; given '1e-5'. Write it without quotes."),
        (("lr: 0.05", "lr: 0.05, nesterov: yes"), "s.yaml:6:58: base.train.nesterov: must be true or false; given 'yes'."),
        (("set: {model.mixers: 1}", "set: [model.mixers]"), "s.yaml:14:9: variants.one.set: must be a mapping; given ['model.mixers']."),
        (("  two:", "  two: 3"), "s.yaml:13:8: variants.two: must be a mapping; given 3."),
        (("baseline: two", "baseline: [two]"), "s.yaml:11:1: baseline: must be text; given ['two']."),
        (("{type: float, low: 0.01, high: 0.2, log: true}", "0.1"), "s.yaml:8:13: search_space.train.lr: must be a mapping; given 0.1."),
        (("seeds: 2", "seeds: [1, 1]"), "s.yaml:10:1: seeds: must be a whole number; given [1, 1]."),
        # wrong values
        (("lr: 0.05", "lr: .nan"), "s.yaml:6:42: base.train.lr: must be finite; given nan."),
        (("lr: 0.05", "lr: .inf"), "s.yaml:6:42: base.train.lr: must be finite; given inf."),
        (("lr: 0.05", "lr: 1e999"), "s.yaml:6:42: base.train.lr: must be finite; given inf."),
        (("high: 0.2", "high: .inf"), "s.yaml:8:44: search_space.train.lr.high: must be finite; given inf."),
        (("lr: 0.05", "lr: 0"), "s.yaml:6:42: base.train.lr: must be above 0; given 0."),
        (("resize: 16", "resize: -16"), "s.yaml:4:51: base.data.resize: must be above 0; given -16."),
        (("seeds: 2", "seeds: -1"), "s.yaml:10:8: seeds: must be above 0; given -1."),
        (("{trials: 2", "{seed: -1, trials: 2"), "s.yaml:9:16: tuning.seed: must be at least 0; given -1."),
        (("rerun_seeds: 1", "rerun_seeds: -1"), "s.yaml:9:49: tuning.rerun_seeds: must be at least 0; given -1."),
        (("seeds: 2", "seeds: 0"), "s.yaml:10:8: seeds: must be above 0; given 0."),
        (("{margin: 5.0}", "{margin: 100}"), "s.yaml:18:20: decision.margin: must be below 100; given 100."),
        (("{margin: 5.0}", "{margin: 5, alpha: 1e-300}"), "s.yaml:18:30: decision.alpha: must be at least 1e-06; given 1e-300."),
        (("epochs: 3", "epochs: 100001"), "s.yaml:6:19: base.train.epochs: must be at most 100,000; given 100001."),
        (("batch_size: 32", "batch_size: 1000001"), "s.yaml:6:34: base.train.batch_size: must be at most 1,000,000; given 1000001."),
        (("{margin: 5.0}", "{margin: -5}"), "s.yaml:18:20: decision.margin: must be above 0; given -5."),
        (("{margin: 5.0}", "{margin: 5, alpha: 0.5}"), "s.yaml:18:30: decision.alpha: must be below 0.5; given 0.5."),
        (("lr: 0.05", "lr: 0.05, momentum: -0.1"), "s.yaml:6:58: base.train.momentum: must be at least 0; given -0.1."),
        (("tolerance: 0.2", "tolerance: 2"), "s.yaml:17:54: variants.wide.match.tolerance: must be below 1; given 2."),
        (("lr: 0.05", "lr: 0.05, optimizer: sdg"), "s.yaml:6:59: base.train.optimizer: must be 'sgd' or 'adamw'; given 'sdg'."),
        (
            ("expect: worse", "expect: bad"),
            "s.yaml:14:41: variants.one.expect: must be 'better', 'worse', 'equivalent' or 'unsure'; given 'bad'.",
        ),
        (("type: float", "type: flaot"), "s.yaml:8:20: search_space.train.lr.type: must be float, int or categorical; given 'flaot'."),
        (("type: float", "type: [float]"), "s.yaml:8:14: search_space.train.lr.type: must be float, int or categorical; given ['float']."),
        (("low: 0.01", "low: 0.5"), "s.yaml:8:3: search_space.train.lr: low must be below high; given low 0.5, high 0.2."),
        (("low: 0.01", "low: 0"), "s.yaml:8:3: search_space.train.lr: log needs low above 0; given low 0.0."),
        (("low: 0.01", "low: 5e-324"), "s.yaml:8:3: search_space.train.lr: low and high must be at most 1e+100 in magnitude, and at least 1e-100 with log; given low 5e-324, high 0.2."),
        (("high: 0.2, log: true", "high: 1e308"), "s.yaml:8:3: search_space.train.lr: low and high must be at most 1e+100 in magnitude, and at least 1e-100 with log; given low 0.01, high 1e+308."),
        (("{type: float, low: 0.01, high: 0.2, log: true}", "{type: categorical, choices: []}"), "s.yaml:8:33: search_space.train.lr.choices: must not be empty; given []."),
        (
            ("{type: float, low: 0.01, high: 0.2, log: true}", "{type: categorical, choices: [0.1, 0.1]}"),
            "s.yaml:8:33: search_space.train.lr.choices: choices must differ; given 0.1 twice.",
        ),
        (
            ("{type: float, low: 0.01, high: 0.2, log: true}", "{type: categorical, choices: [[1]]}"),
            "s.yaml:8:43: search_space.train.lr.choices.0: must be a number, text, true or false; given [1].",
        ),
        (
            ("{type: float, low: 0.01, high: 0.2, log: true}", f"{{type: categorical, choices: {list(range(101))}}}"),
            "s.yaml:8:33: search_space.train.lr.choices: must have at most 100 entries; given [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21....",
        ),
        (
            ("  short:", "".join(f"  p{n}: {{description: x}}\n" for n in range(20)) + "  short:"),
            "s.yaml:19:1: profiles: must have at most 20 entries; given {'starter': {'description': 'all of it'}, 'p0': {'description': 'x'}, 'p1': {....",
        ),
        # letters that look like others are seen
        (("baseline: two", "baseline: tw\u043e"), "s.yaml:11:11: baseline: must name a variant; given 'tw\\u043e'; did you mean 'two'?"),
        (("expect: worse", "expect: wors\u0435"), "s.yaml:14:41: variants.one.expect: must be 'better', 'worse', 'equivalent' or 'unsure'; given 'wors\\u0435'."),
        (("{params: two, by", "{params: two, macs: two, by"), "s.yaml:17:5: variants.wide.match: match must have exactly one of params and macs."),
        (("{params: two, by", "{by"), "s.yaml:17:5: variants.wide.match: match must have exactly one of params and macs."),
        (("by: model.width", "by: model.depth"), "s.yaml:17:30: variants.wide.match.by: must be 'model.width'; given 'model.depth'."),
        (("baseline: two", "baseline: tow"), "s.yaml:11:11: baseline: must name a variant; given 'tow'; did you mean 'two'?"),
        (("Does a bar need a 1x1 convolution?", "''"), "s.yaml:2:11: question: must not be empty; given ''."),
    ],
)  # fmt: skip
def test_what_a_study_may_not_say(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement)) == message


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("../../etc/passwd", "../../etc/passwd"),
        ("/etc/x", "/etc/x"),
        ("a.b", "a.b"),
        ("<script>alert(1)</script>", "<script>alert(1)</script>"),
        ("Tiny", "Tiny"),
        ("_tiny", "_tiny"),
        ("one two", "one two"),
        ("t\u0456ny", "t\\u0456ny"),  # a Ukrainian i
        ("tiny\u200b", "tiny\\u200b"),
        ('"tiny\\n"', "tiny\\n"),
        ("''", ""),
        ("x" * 65, "x" * 65),
        ("x" * 10_000, "x" * 77 + "..."),
    ],
)
def test_names_are_plain(name: str, given: str) -> None:
    rule = f"a name must have 1 to 64 characters from a-z, 0-9 and '_', and must not start with '_'; given '{given}'."
    assert refusal(edited(("study: tiny", f"study: {name}"))) == f"s.yaml:1:8: study: {rule}"
    if len(name) < 1000:
        assert refusal(edited(("  one:", f"  {name}:"))) == f"s.yaml:14:3: variants.{given}: {rule}"
        assert refusal(edited(("  short:", f"  {name}:"))) == f"s.yaml:21:3: profiles.{given}: {rule}"


def test_several_problems_are_told_at_once() -> None:
    text = edited(("study: tiny", "study: Tiny"), ("seeds: 2", "seeds: many"), ("baseline: two\n", ""))
    assert refusal(text).splitlines() == [
        "s.yaml:1:8: study: a name must have 1 to 64 characters from a-z, 0-9 and '_', and must not start with '_'; given 'Tiny'.",
        "s.yaml:10:8: seeds: must be a whole number; given 'many'.",
        "s.yaml:1:1: the key 'baseline' is missing.",
    ]


def test_defaults() -> None:
    spec = parse(edited(("tuning: {trials: 2, rerun_best: 1, rerun_seeds: 1}\nseeds: 2\n", "")), "s.yaml").spec
    assert (spec.seeds, spec.decision.alpha, spec.tuning.trials, spec.tuning.sampler) == (10, 0.05, 20, "qmc")
    assert spec.variants["two"].set == {}


def test_a_spec_survives_json() -> None:
    spec = parse(TEXT, "s.yaml").spec
    assert StudySpec.model_validate_json(spec.model_dump_json()) == spec


# Conditions


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("when: {train.optimizer: sgd}", "wen: {train.optimizer: sgd}"), "s.yaml:10:55: search_space.train.momentum.wen: unknown key 'wen'; did you mean 'when'?"),
        (("when: {train.optimizer: sgd}", "when: train.optimizer"), "s.yaml:10:61: search_space.train.momentum.when: must be a mapping; given 'train.optimizer'."),
        (("when: {train.optimizer: sgd}", "when:"), "s.yaml:10:60: search_space.train.momentum.when: must be a mapping; given nothing."),
        (("when: {train.optimizer: sgd}", "when: {}"), "s.yaml:10:55: search_space.train.momentum.when: must not be empty; given {}."),
        (("when: {train.optimizer: [sgd]}", "when: {train.optimizer: []}"), "s.yaml:11:70: search_space.train.nesterov.when.train.optimizer: must not be empty; given []."),
        (
            ("when: {train.optimizer: sgd}", "when: {train.optimizer: }"),
            "s.yaml:10:78: search_space.train.momentum.when.train.optimizer: must be a number, text, true or false; given nothing.",
        ),
        (
            ("when: {train.optimizer: [sgd]}", "when: {train.optimizer: [sgd, [adamw]]}"),
            "s.yaml:11:93: search_space.train.nesterov.when.train.optimizer.1: must be a number, text, true or false; given ['adamw'].",
        ),
    ],
)  # fmt: skip
def test_what_a_condition_may_not_say(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement, text=CONDITIONAL)) == message


def test_a_single_value_is_a_list_of_one() -> None:
    space = parse(CONDITIONAL, "s.yaml").spec.search_space
    assert space["train.momentum"].when == space["train.nesterov"].when == {"train.optimizer": ["sgd"]}
    assert space["train.lr"].when == {}


def test_a_space_without_conditions_is_stored_and_hashed_as_before_there_were_any() -> None:
    assert parse(TEXT, "s.yaml").spec.search_space["train.lr"].model_dump() == {
        "type": "float", "low": 0.01, "high": 0.2, "log": True,
    }  # fmt: skip
    assert "when" not in str(planned().to_json())
    assert parse(CONDITIONAL, "s.yaml").spec.search_space["train.momentum"].model_dump() == {
        "type": "float", "low": 0.0, "high": 0.95, "log": False, "when": {"train.optimizer": ["sgd"]},
    }  # fmt: skip


def _space(**when: dict[str, list[str]]) -> SearchSpace:
    """Keys with the choices x, y and z under these conditions."""
    return {
        key: CategoricalDistribution(type="categorical", choices=["x", "y", "z"], **({"when": on} if on else {}))
        for key, on in when.items()
    }


def test_a_condition_brings_those_of_the_keys_it_names() -> None:
    space = _space(a={}, b={"a": ["x", "y"]}, c={"a": ["y", "z"], "b": ["z"]}, d={"b": ["x"], "c": ["x"]})
    assert conditions(space, "a") == {}
    assert conditions(space, "c") == {"a": ["y"], "b": ["z"]}
    assert conditions(space, "d") == {"a": ["y"], "b": [], "c": ["x"]}


@pytest.mark.parametrize(
    ("values", "searched"),
    [
        ({"a": "x", "b": "x", "c": "x"}, ["a"]),  # c's own condition holds, b's does not
        ({"a": "y", "b": "x", "c": "x"}, ["a", "b", "c"]),
        ({"a": "z", "b": "x"}, ["a", "b", "c"]),
        ({"a": "z", "b": "y", "c": "x"}, ["a", "b"]),
        ({"a": "z"}, ["a", "b"]),
        ({}, ["a"]),
    ],
)
def test_a_key_is_searched_where_all_its_conditions_hold(values: dict[str, str], searched: list[str]) -> None:
    space = _space(c={"b": ["x"]}, a={}, b={"a": ["y", "z"]})
    assert sorted(active(space, values)) == searched


@given(st.data())
def test_what_is_searched_depends_on_searched_keys_only(data: st.DataObject) -> None:
    names = [f"k{n}" for n in range(5)]
    values = st.lists(st.sampled_from("xyz"), min_size=1, unique=True)
    space = _space(
        **{
            name: data.draw(st.dictionaries(st.sampled_from(names[:n]), values, max_size=2)) if n else {}
            for n, name in enumerate(names)
        }
    )
    point = {name: data.draw(st.sampled_from("xyz")) for name in names}
    searched = active(space, point)
    assert active(space, {key: point[key] for key in searched}) == searched
    for name, distribution in space.items():
        holds = all(other in searched and point[other] in allowed for other, allowed in distribution.when.items())
        assert (name in searched) is holds


def test_conditions_in_words() -> None:
    assert where_clause({}) == ""
    assert where_clause({"train.optimizer": ["sgd"]}) == " where train.optimizer is sgd"
    told = where_clause({"train.optimizer": ["sgd", "adamw"], "train.nesterov": [True], "train.lr": [0.1, 1]})
    assert told == " where train.optimizer is sgd or adamw and train.nesterov is true and train.lr is 0.1 or 1"


def test_a_match_names_its_cost_and_its_target() -> None:
    assert (Match(params="a", by="model.width").cost, Match(params="a", by="model.width").target) == ("params", "a")
    assert (Match(macs="b", by="model.width").cost, Match(macs="b", by="model.width").target) == ("macs", "b")


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("qestion", ["question", "source"], "question"),
        ("lr", ["train.lr", "train.epochs"], "train.lr"),
        ("model.mixrs", ["model.mixers", "model.mixer_kernel"], "model.mixers"),
        ("zzz", ["question"], None),
        ("x" * 100_000, ["question"], None),
        ("", [], None),
    ],
)
def test_the_closest_name_is_the_one_that_was_meant(name: str, known: list[str], meant: str | None) -> None:
    assert closest(name, known) == meant


def test_without_a_close_name_all_are_told() -> None:
    assert nearest("zzz", ["b", "a"]) == "known here: a, b."
    assert nearest("zzz", []) == "known here: nothing."


@given(st.text() | st.integers() | st.none() | st.booleans() | st.floats() | st.lists(st.text()))
def test_what_is_shown_is_short_and_on_one_line(value: object) -> None:
    for text in (readable(value), shown(value)):
        assert len(text) <= 80
        assert text.isprintable()


def test_values_are_shown_as_yaml_writes_them() -> None:
    assert [shown(value) for value in (None, True, False, 1, 0.5, "x", [1])] == [
        "nothing", "true", "false", "1", "0.5", "'x'", "[1]",
    ]  # fmt: skip


def test_sections_are_built_with_the_study_and_not_once_more() -> None:
    # Pydantic builds a model twice if it is built by itself and as a part; every command would wait for it.
    code = (
        "from ablations import trial; from ablations.studyfile import loading, spec;"
        "built = lambda: [m.__name__ for m in (spec.StudySpec, spec.Base, spec.Profile, spec.Variant) if m.__pydantic_complete__];"
        "print(built(), trial._RESULT.pydantic_complete); loading.read_file(loading.find('one_by_one')); print(built())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[] False", "['StudySpec']"]
