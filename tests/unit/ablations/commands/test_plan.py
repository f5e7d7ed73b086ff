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
    "warning: profile book (the book's network, images and recipe, learning rate tuned; needs a CUDA device) takes at most 400 "
    "trainings, roughly 140 days on 2 CPU cores, by counted costs. Use a GPU, or start profile starter, which takes at most roughly 3 min: "
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
    out = command("plan", "convergence", "--profile", "laptop")[1]
    assert "0 tuning and at most 360 confirmation trainings" in out
    told = re.search(
        r"trainings: at most 360; (\d+) / (\d+) / (\d+) expected .*: roughly .*, at most .*, by counted costs", out
    )
    assert told is not None
    assert 45 <= int(told[1]) < int(told[2]) < int(told[3]) < 360
    assert "the looks before find larger differences: 1.27 / 2.54 / 5.08 at 5; " in out
    values = json.loads(command("plan", "convergence", "--profile", "laptop", "--json")[1])
    assert [round(each) for each in values["expected_trials"].values()] == [int(told[number]) for number in (1, 2, 3)]
    assert command("check", "convergence")[1].endswith("laptop at most 360 trainings, book at most 360 trainings\n")


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


def test_a_plan_says_what_its_verdicts_are_about_and_the_price_of_more(command: Command) -> None:
    one = command("plan", "one_by_one", "--profile", "starter")[1]
    assert "verdicts hold for the tuned values of one search for each variant" in one
    assert "with tuning.searches: 5 and seeds: 10 (instead of looks) 200 trainings" in one
    several = command("plan", "one_by_one", "--profile", "laptop")[1]
    assert "verdicts hold for the variants, tuned like this: each has 8 searches of 2 seeds" in several
    assert "5 searches can find" not in several
    assert "8 searches can find a true difference of" in several
    assert " at 5 searches" in several
    untuned = command("plan", "convergence", "--profile", "starter")[1]
    assert "verdicts hold" not in untuned
    starter, laptop = (
        json.loads(command("plan", "one_by_one", "--profile", profile, "--json")[1])["num_trials_by_search"]
        for profile in ("starter", "laptop")
    )
    assert (starter, laptop) == (200, None)
