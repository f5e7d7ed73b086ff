"""A study file as a person writes it, edits of it, and the messages about them; lines count from 1."""

from __future__ import annotations

from pathlib import Path

from ablations.errors import StudyFileError
from ablations.planning.checking import plan_study, planning_errors
from ablations.planning.plan import Plan
from ablations.planning.planner import make_plan
from ablations.studyfile.loading import parse, read_file, shipped_studies
from ablations.trial import Machine

CPU = Machine("cpu", bf16=False, num_workers=2, description="2 CPU cores")

TEXT = """\
study: tiny
question: Does a bar need a 1x1 convolution?
base:
  data: {name: synthetic, validation: 64, resize: 16}
  model: {preset: nin_small, width: 0.25}
  train: {epochs: 3, batch_size: 32, lr: 0.05}
search_space:
  train.lr: {type: float, low: 0.01, high: 0.2, log: true}
tuning: {trials: 2, rerun_best: 1, rerun_seeds: 1}
seeds: 2
baseline: two
variants:
  two:
  one: {set: {model.mixers: 1}, expect: worse}
  wide:
    set: {model.mixers: 0}
    match: {params: two, by: model.width, tolerance: 0.2}
decision: {margin: 5.0}
profiles:
  starter: {description: all of it}
  short:
    description: less of it
    set: {train.epochs: 1}
"""


def edited(*replacements: tuple[str, str], text: str = TEXT) -> str:
    """A study with pieces of its text replaced; each piece must occur exactly once."""
    for old, new in replacements:
        assert text.count(old) == 1, f"{old!r} is there {text.count(old)} times"
        text = text.replace(old, new)
    return text


CONDITIONAL = edited(
    (
        "log: true}\n",
        "log: true}\n"
        "  train.optimizer: {type: categorical, choices: [sgd, adamw]}\n"
        "  train.momentum: {type: float, low: 0.0, high: 0.95, when: {train.optimizer: sgd}}\n"
        "  train.nesterov: {type: categorical, choices: [true, false], when: {train.optimizer: [sgd]}}\n",
    )
)
"""The study with two conditional keys of the search space, in lines 10 and 11."""


def planned(text: str = TEXT, profile: str = "starter", machine: Machine = CPU) -> Plan:
    """The plan of a study's text; errors name its lines, as in the commands."""
    return plan_study(parse(text, "s.yaml"), profile, machine)


SHIPPED = [(path, profile) for path in shipped_studies() for profile in read_file(path).spec.profiles]
"""Every profile of every study that ships with the suite."""


def shipped(path: Path, profile: str) -> Plan:
    """The plan of a study that ships with the suite."""
    return make_plan(read_file(path).spec, profile, CPU)


def complaint(text: str) -> str | None:
    """The message of `check` for this text; None if it is accepted."""
    try:
        file = parse(text, "s.yaml", planning_errors)
        for profile in file.spec.profiles:
            plan_study(file, profile, CPU)
    except StudyFileError as error:
        return str(error)
    return None


def refusal(text: str) -> str:
    """The message of `check` for this text; fails if the text is accepted."""
    message = complaint(text)
    assert message is not None, "the study was accepted"
    return message
