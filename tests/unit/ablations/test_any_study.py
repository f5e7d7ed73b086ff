"""Studies made up from the grammar of the file, right and wrong: what is accepted can be used, what is refused has a line."""

from __future__ import annotations

import copy
import io
import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny
import yaml
from builders import CPU, complaint
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from ablations.analysis.summarize import summarize
from ablations.analysis.summary import StudySummary
from ablations.planning.plan import Plan
from ablations.planning.planner import make_plan
from ablations.progress import Progress
from ablations.reporting.csv_tables import csv_tables
from ablations.reporting.latex import latex_tables
from ablations.reporting.render import html, markdown, write_report
from ablations.reporting.summary_json import summary_json
from ablations.studyfile.loading import MAX_PROBLEMS, parse
from ablations.terminal.grid import print_progress
from ablations.terminal.printing import print_costs, print_plan
from ablations.trial import RecordedTrial, TrialResult
from ablations.tuning import VariantTuner

pytestmark = pytest.mark.slow

# The grammar. Most values are ones that a study may have, so that many studies are accepted; `_odd` breaks some of them.

TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=40).filter(str.strip)
NAMES = st.sampled_from(["two", "one", "wide", "a", "b_2", "9"])
DIALS: dict[str, st.SearchStrategy[Any]] = {
    "model.mixers": st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=4, max_size=4),
    "model.mixer_kernel": st.sampled_from([1, 3]),
    "model.head": st.sampled_from(["gap", "gmp", "dense", "dense_dropout"]),
    "model.width": st.floats(0.05, 2),
    "model.dropout": st.sampled_from([0, 0.25, 0.9]),
    "model.normalization": st.sampled_from(["none", "batch"]),
    "train.lr": st.floats(1e-5, 1),
    "train.epochs": st.integers(1, 5),
    "train.batch_size": st.integers(1, 300),
    "train.momentum": st.sampled_from([0, 0.5, 0.99]),
    "train.weight_decay": st.floats(0, 1),
    "train.schedule": st.sampled_from(["constant", "cosine"]),
}
DOTTED = st.fixed_dictionaries({}, optional=DIALS)
CHOICES = st.lists(st.sampled_from(["sgd", "adamw"]), min_size=1, unique=True)
EDGES = st.tuples(st.sampled_from([5e-324, 1e-9, 0.001, 0.05]), st.sampled_from([0.05, 0.3, 1.0, 1.7e308]))
SPACES = st.fixed_dictionaries(
    {},
    optional={
        "train.lr": st.builds(
            lambda ends, log: {"type": "float", "low": ends[0], "high": ends[1], "log": log}, EDGES, st.booleans()
        ),
        "train.batch_size": st.builds(
            lambda low, more, log: {"type": "int", "low": low, "high": low + more, "log": log},
            st.integers(1, 32),
            st.integers(1, 10**5),
            st.booleans(),
        ),
        "train.optimizer": CHOICES.map(lambda each: {"type": "categorical", "choices": each}),
        "train.momentum": CHOICES.map(
            lambda each: {"type": "float", "low": 0, "high": 0.9, "when": {"train.optimizer": each}}
        ),
        "model.dropout": st.just({"type": "float", "low": 0.0, "high": 0.9}),
        "model.mixer_kernel": st.just({"type": "categorical", "choices": [1, 3]}),
    },
)
VARIANTS = st.fixed_dictionaries(
    {"set": DOTTED.filter(bool)},
    optional={
        "expect": st.sampled_from(["better", "worse", "equivalent", "unsure"]),
        "versus": NAMES,
        "match": st.builds(
            lambda cost, name, tolerance: {"by": "model.width", cost: name, "tolerance": tolerance},
            st.sampled_from(["params", "macs"]),
            NAMES,
            st.sampled_from([0.02, 0.5]),
        ),
        "description": TEXTS,
        "family": NAMES,
    },
)
TUNING = st.fixed_dictionaries(
    {"trials": st.integers(1, 9), "rerun_best": st.integers(1, 3), "rerun_seeds": st.integers(0, 2)},
    optional={
        "sampler": st.sampled_from(["qmc", "random", "tpe"]),
        "seed": st.integers(0, 10**18 - 1),
        "pruner": st.sampled_from(["none", "median"]),
        "start_points": st.lists(DOTTED, max_size=2),
    },
)
AXES = st.dictionaries(
    st.sampled_from(sorted(DIALS)), st.lists(st.one_of(*DIALS.values()), min_size=1, max_size=3), min_size=1, max_size=2
)
PROFILES = st.fixed_dictionaries(
    {"description": TEXTS, "presets": st.just({"nin_book": "nin_small"})},
    optional={
        "cost": TEXTS,
        "set": st.fixed_dictionaries(
            {}, optional={"train.warmup_epochs": st.floats(0, 2), "data.train_size": st.integers(10, 99)}
        ),
        "search_space": SPACES,
        "tuning": st.fixed_dictionaries({"trials": st.integers(1, 9)}),
        "seeds": st.integers(1, 6),
        "looks": st.lists(st.integers(5, 9), min_size=1, max_size=3, unique=True).map(sorted),
    },
)
STUDIES = st.fixed_dictionaries(
    {
        "study": NAMES,
        "question": TEXTS,
        "base": st.fixed_dictionaries(
            {
                "data": st.fixed_dictionaries(
                    {"name": st.sampled_from(["synthetic", "digits"]), "validation": st.integers(10, 100)},
                    optional={"train_size": st.integers(10, 100)},
                ).map(lambda data: {**data, "resize": 24}),
                "model": st.fixed_dictionaries({"preset": st.sampled_from(["nin_small", "nin_book"])}),
                "train": st.just({"epochs": 3, "batch_size": 32, "lr": 0.05}),
            }
        ),
        "baseline": st.just("two"),
        "variants": st.dictionaries(NAMES, VARIANTS, max_size=3).map(lambda more: {**more, "two": {}}),
        "decision": st.fixed_dictionaries({"margin": st.floats(0.01, 99)}, optional={"alpha": st.floats(1e-6, 0.49)}),
        "profiles": st.dictionaries(NAMES, PROFILES, min_size=1, max_size=2),
    },
    optional={
        "source": TEXTS,
        "search_space": SPACES,
        "tuning": TUNING,
        "seeds": st.integers(1, 6),
        "aa_arm": st.booleans(),
        "grid": AXES,
        "zip": AXES,
        "leave_one_out": DOTTED,
    },
)
ODD = st.one_of(
    st.sampled_from(
        [None, True, -1, 0, 10**18 - 1, 1e-5, 1e308, float("nan"), float("-inf"), "1e-5", "", "../x", "<b>", "tw\u043e"]
    ),
    st.sampled_from([[], {}, [[]], {"set": {}}, {"type": "float"}]),
    TEXTS,
)


@st.composite
def studies(draw: st.DrawFn) -> str:
    """A study's text: half of them whole, the others with a few places broken."""
    tree = copy.deepcopy(draw(STUDIES))  # parts of it are the strategies' own
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        place: Any = tree
        while True:
            key = draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
            if not (isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 3))):
                break
            place = place[key]
        if isinstance(place, dict) and draw(st.booleans()):
            place[draw(TEXTS)] = place.pop(key)
        else:
            place[key] = copy.deepcopy(draw(ODD))
        if not tree:
            break
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False)


@given(studies())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.large_base_example])
def test_a_study_is_refused_with_its_line_or_can_be_planned_priced_and_printed(text: str) -> None:
    message = complaint(text)
    if message is not None:
        lines = message.splitlines()
        assert re.match(r"s\.yaml:[0-9]+:[0-9]+: .", lines[0])
        assert len(lines) <= MAX_PROBLEMS + 1
        return
    for plan in _plans(text):
        assert Plan.from_json(json.dumps(plan.to_json())).id == plan.id
        workloads = {variant.name: plan.workload(variant.name) for variant in plan.variants}
        assert all(each.costs.params > 0 and each.memory.peak_training_bytes > 0 for each in workloads.values())
        console = Console(file=io.StringIO(), width=99, markup=False, emoji=False, highlight=False)
        print_plan(plan, CPU, "asked for", {}, console)
        print_costs(workloads, {}, console)
        print_progress(Progress(plan, CPU.num_workers), console)
        if plan.tuned:
            for spec in VariantTuner(plan, plan.baseline).ask():
                assert plan.workload(plan.baseline, spec.hyperparameters).memory.peak_training_bytes > 0


@given(studies().filter(lambda text: complaint(text) is None), st.integers(0, 2**32))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_a_study_that_is_accepted_can_be_reported(text: str, luck: int) -> None:
    plan = _plans(text)[0]
    summary = _summary(plan, luck)
    page = html(summary, [], created="now")
    assert page.count("<script") == 1
    assert markdown(summary, [], created="now")
    assert csv_tables(summary)
    assert latex_tables(summary)
    json.dumps(summary_json(summary, "now"), allow_nan=False)


@given(text=studies().filter(lambda text: complaint(text) is None), luck=st.integers(0, 2**32))
@settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck))
def test_its_report_can_be_drawn(text: str, luck: int, tmp_path_factory: Any) -> None:
    summary = _summary(_plans(text)[0], luck)
    assert write_report(summary, tmp_path_factory.mktemp("report"), created="now").is_file()


def _plans(text: str) -> list[Plan]:
    spec = parse(text, "s.yaml").spec
    return [make_plan(spec, profile, CPU) for profile in spec.profiles]


def _summary(plan: Plan, luck: int) -> StudySummary:
    """Of made-up trials: most finished, some of them diverged or not there."""
    trials = []
    point = (plan.tuning.start_points or [{}])[0] if plan.tuned else {}
    for index, cell in enumerate(plan.cells):
        spec = plan.trial(cell.variant, cell.phase, cell.seed, point, cell.number)
        fate = hash((luck, index)) % 12
        right = np.arange(100) < 60 + fate
        made = tiny.result(spec, 60.0 + fate)
        if cell.phase == "confirm":
            made = replace(made, test_correct=np.packbits(right).tobytes(), num_test_images=100)
        if fate == 0:
            made = TrialResult(spec.id, "diverged", message="made up")
        if fate != 1:
            labels = (cell.variant, plan[cell.variant].key, cell.phase, cell.seed, cell.number, point)
            trials.append(RecordedTrial(str(index), *labels, made))
    return summarize(plan, trials, {}, {})
