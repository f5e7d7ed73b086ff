"""Messages about wrong keys, types and values, each with its place, its rule and a way out."""

from __future__ import annotations

import pytest
from builders import edited, refusal


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
            "s.yaml:18:25: decision.zzz: unknown key 'zzz'; known here: alpha, margin, pooled.",
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
        "s.yaml:1:1: the key 'baseline' is missing.",
        "s.yaml:1:8: study: a name must have 1 to 64 characters from a-z, 0-9 and '_', and must not start with '_'; given 'Tiny'.",
        "s.yaml:10:8: seeds: must be a whole number; given 'many'.",
    ]
