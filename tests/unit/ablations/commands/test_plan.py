"""`plan`: for people and for programs."""

from __future__ import annotations

import json
import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from builders import CPU, TEXT, edited, planned
from commandline import CUDA, Command
from places import ROOT

from ablations.execution import environment
from ablations.trial import Machine

WEEKS = (
    "warning: profile book (the book's network, images and recipe, learning rate tuned; needs a CUDA device) takes at most 270 "
    "trainings, roughly 95 days on 2 CPU cores, by counted costs. Use a GPU, or start profile starter, which takes at most roughly 3 min: "
    "python -m ablations run one_by_one --profile starter\n"
)


@pytest.mark.parametrize(
    ("machine", "profile", "told"), [(CPU, "book", WEEKS), (CPU, "laptop", ""), (CUDA, "book", "")]
)
def test_weeks_of_work_on_a_cpu_are_said_beforehand(
    command: Command, monkeypatch: pytest.MonkeyPatch, machine: Machine, profile: str, told: str
) -> None:
    monkeypatch.setattr(environment, "detect", lambda: machine)
    assert command("plan", "one_by_one", "--profile", profile)[::2] == (0, told)
    assert command("plan", "one_by_one", "--profile", profile, "--json")[::2] == (0, told)


def test_weeks_of_a_study_from_a_pipe_are_said_without_a_command_to_run_it(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "detect", lambda: CPU)
    os.mkfifo("pipe")
    text = (ROOT / "studies" / "one_by_one.yaml").read_text(encoding="utf-8")
    with ThreadPoolExecutor() as beside:
        beside.submit(Path("pipe").write_text, text)
        told = WEEKS.partition(": python")[0] + "\n"
        assert command("plan", "pipe", "--profile", "book")[::2] == (0, told)


def test_plan_json_has_what_other_programs_read(command: Command) -> None:
    code, out, err = command("plan", "s.yaml", "--json")
    values = json.loads(out)
    plan = planned()
    assert (code, err) == (0, "")
    assert set(values) >= {"study", "profile", "num_trials", "variants", "trials"}
    assert (values["study"], values["profile"], values["baseline"]) == ("tiny", "starter", "two")
    assert values["num_trials"] == len(values["trials"]) == 15
    assert {name: (each["params"], each["macs"]) for name, each in values["variants"].items()} == {
        each.name: (each.costs.params, each.costs.macs) for each in plan.variants
    }
    assert values["resolution"]["num_comparisons"] == 2
    assert values["resolution"]["carries_verdicts"] is False
    assert (values["guess_percent"], values["learned_percent"]) == (25.0, pytest.approx(33.333, abs=0.001))
    assert values["trials"][0] == {"phase": "tune", "variant": "two", "seed": 0, "number": 0}
    assert values["trials"][-1] == {"phase": "confirm", "variant": "wide", "seed": 1, "number": None}


def test_plan_shows_people_what_it_will_do(command: Command) -> None:
    code, out, err = command("plan", "s.yaml")
    assert (code, err) == (0, "")
    first = out.splitlines()[0]
    assert first.startswith(
        "tiny, profile starter (no CUDA device is here): 3 variants, 9 tuning and 6 confirmation trainings"
    )
    assert "Does a bar need a 1x1 convolution?" in out
    assert (
        "tuned the same way for each variant: train.lr 0.01 to 0.2 (log); 2 trials (qmc), the best 1 repeated on 1"
        in out
    )
    assert "caveat: Drawn by the suite for its own tests" in out


def test_looks_are_said_with_what_they_may_cost_and_what_each_can_decide(command: Command) -> None:
    out = command("plan", "three_by_three", "--profile", "laptop")[1]
    assert "32 tuning and at most 160 confirmation trainings" in out
    told = re.search(
        r"trainings: at most 192; (\d+) / (\d+) / (\d+) expected .*: roughly .*, at most .*, by counted costs", out
    )
    assert told is not None
    assert 32 + 20 <= int(told[1]) < int(told[2]) < int(told[3]) < 192
    assert "the looks before find larger differences: 0.99 / 1.98 / 3.96 at 5; " in out
    values = json.loads(command("plan", "three_by_three", "--profile", "laptop", "--json")[1])
    assert [round(each) for each in values["expected_trials"].values()] == [int(told[number]) for number in (1, 2, 3)]
    assert command("check", "three_by_three")[1].endswith("laptop at most 192 trainings, book at most 216 trainings\n")


def test_plan_of_the_book_has_the_books_numbers(command: Command) -> None:
    values = json.loads(command("plan", "one_by_one", "--profile", "book", "--json")[1])
    assert (values["variants"]["two"]["params"], values["variants"]["two"]["macs"]) == (1_992_166, 762_297_352)


@pytest.mark.parametrize(
    ("machine", "profiles", "chosen"),
    [
        (CPU, ("starter", "book"), "starter (no CUDA device is here)"),
        (CUDA, ("starter", "book"), "book (a CUDA device is here)"),
        (CUDA, ("laptop",), "laptop (the only one)"),
    ],
)
def test_the_machine_chooses_the_profile(
    command: Command, monkeypatch: pytest.MonkeyPatch, machine: Machine, profiles: tuple[str, ...], chosen: str
) -> None:
    monkeypatch.setattr(environment, "detect", lambda: machine)
    lines = "".join(f"  {name}: {{description: x}}\n" for name in profiles)
    Path("s.yaml").write_text(TEXT.split("profiles:\n")[0] + "profiles:\n" + lines)
    assert command("plan", "s.yaml")[1].startswith(f"tiny, profile {chosen}")


def test_a_profile_must_be_chosen_where_the_machines_is_not_there(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "detect", lambda: CUDA)
    expected = "error: tiny has no profile 'book'; choose one with --profile: starter, short\n"
    assert command("plan", "s.yaml") == (2, "", expected)


def test_what_a_study_says_is_text_and_no_markup(command: Command) -> None:
    words = "[/red] [bold]:smile: <script> ≥"
    Path("s.yaml").write_text(
        edited(
            ("Does a bar need a 1x1 convolution?", f'"{words}"'), ("  two:\n", f'  two: {{description: "{words}"}}\n')
        )
    )
    code, out, _ = command("plan", "s.yaml")
    assert code == 0
    assert out.count(words) == 2
