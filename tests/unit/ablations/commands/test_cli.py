"""The command line: what is printed where, exit codes, and what is not imported."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from builders import CPU, TEXT, edited, planned
from places import ROOT

from ablations import cli
from ablations.execution import environment
from ablations.studyfile.loading import shipped_studies
from ablations.trial import Machine
from nin.complexity import costs
from nin.presets import PRESETS

CUDA = Machine("cuda", bf16=True, num_workers=1, description="1 CUDA device")
HEAVY = ["torch", "torchvision", "mlflow", "optuna", "pandas", "matplotlib", "seaborn", "sklearn", "scipy"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder with one study, on a machine without a GPU."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(environment, "detect", lambda: CPU)
    Path("s.yaml").write_text(TEXT)


class Command:
    """Runs commands in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self._monkeypatch.setattr(sys, "argv", ["ablations", *arguments])
        with pytest.raises(SystemExit) as caught:
            cli.main()
        return int(caught.value.code or 0), *self._capsys.readouterr()


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(monkeypatch, capsys)


def process(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, in this folder, that finds the suite."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), **variables}
    return subprocess.run(command, capture_output=True, text=True, env=environ)


# check


def test_check_names_what_each_profile_runs(command: Command) -> None:
    assert command("check", "s.yaml") == (0, "s.yaml: ok: 3 variants; starter 15 trainings, short 15 trainings\n", "")


def test_check_without_a_name_checks_what_is_shipped(command: Command) -> None:
    code, out, err = command("check")
    assert (code, err) == (0, "")
    assert [line.split(": ok: ")[0] for line in out.splitlines()] == [str(path) for path in shipped_studies()]


def test_check_goes_on_after_a_wrong_file(command: Command) -> None:
    Path("wrong.yaml").write_text(edited(("seeds: 2", "sedes: 2")))
    code, out, err = command("check", "wrong.yaml", "missing.yaml", "s.yaml")
    assert code == 2
    assert out.startswith("s.yaml: ok: ")
    assert err.splitlines()[0] == "error: wrong.yaml:10:1: sedes: unknown key 'sedes'; did you mean 'seeds'?"
    assert err.splitlines()[1].startswith("missing.yaml: no such study file.")


def test_check_plans_every_profile(command: Command) -> None:
    Path("s.yaml").write_text(edited(("{train.epochs: 1}", "{train.epoch: 1}")))
    code, out, err = command("check", "s.yaml")
    assert (code, out) == (2, "")
    assert "s.yaml:23:11: profiles.short.set.train.epoch: unknown key" in err


# init and schema


@pytest.mark.parametrize("source", [[], ["--from", "head"], ["--from", "s.yaml"]], ids=" ".join)
def test_init_writes_a_study_that_is_right(command: Command, source: list[str]) -> None:
    code, out, err = command("init", "mine.yaml", *source)
    assert (code, err) == (0, "")
    assert out.endswith("python -m ablations run mine.yaml --profile starter\n")
    code, out, err = command("check", "mine.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("mine.yaml: ok: ")
    assert json.loads(Path("study.schema.json").read_text()) == json.loads(command("schema")[1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["s.yaml"], "s.yaml is there already, and stays as it is."),
        (["My study.yaml"], "a study file is called as its study is, with .yaml behind it."),
        (["mine.txt"], "a study file is called as its study is, with .yaml behind it."),
        (
            ["nowhere/mine.yaml"],
            "nowhere/mine.yaml cannot be written: No such file or directory. Give a file in a folder",
        ),
        (["mine.yaml", "--from", "heads"], "heads: no such study file. Give a path, or a name; did you mean 'head'?"),
    ],
)
def test_init_leaves_alone_what_is_there(command: Command, arguments: list[str], message: str) -> None:
    code, out, err = command("init", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert [path.name for path in Path().iterdir()] == ["s.yaml"]
    assert Path("s.yaml").read_text() == TEXT


# plan


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
    assert "tuned for each variant alike: train.lr 0.01 to 0.2 (log); 2 trials (qmc), the best 1 again on 1" in out
    assert "caveat: Drawn by the suite for its own tests" in out


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
    expected = "error: s.yaml has no profile 'book'; choose one with --profile: starter, short\n"
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


# costs


def test_costs_json_maps_presets_to_counts(command: Command) -> None:
    code, out, err = command("costs", "--json")
    values = json.loads(out)
    assert (code, err, list(values)) == (0, "", list(PRESETS))
    book = values["nin_book"]
    assert (book["params"], book["macs"], book["flops"]) == (1_992_166, 762_297_352, 2 * 762_297_352)
    assert (book["batch_size"], book["measured"]) == (128, None)
    assert book["memory"]["gradient_bytes"] == 4 * book["params"]


def test_costs_json_maps_variants_to_counts(command: Command) -> None:
    values = json.loads(command("costs", "s.yaml", "--json")[1])
    plan = planned()
    assert {name: (each["params"], each["macs"], each["memory"]) for name, each in values.items()} == {
        v.name: (v.costs.params, v.costs.macs, asdict(plan.workload(v.name).memory)) for v in plan.variants
    }
    assert {each["batch_size"] for each in values.values()} == {32}


def test_costs_are_measured_when_asked(command: Command) -> None:
    code, out, err = command("costs", "s.yaml", "--measure", "--json")
    assert (code, err.splitlines()) == (0, [f"measuring architecture {number} of 3" for number in (1, 2, 3)])
    for values in json.loads(out).values():
        assert values["measured"]["saved_bytes"] == _saved_bytes(values["memory"])
        assert values["measured"]["train_images_per_second"] > 0


def _saved_bytes(memory: dict[str, int]) -> int:
    return memory["saved_activation_bytes"] + memory["saved_cast_bytes"]


def test_presets_memory_is_of_the_batch_asked_for(command: Command) -> None:
    one, two = (json.loads(command("costs", "lenet", "--batch-size", size, "--json")[1])["lenet"] for size in "12")
    assert 2 * one["memory"]["saved_activation_bytes"] == two["memory"]["saved_activation_bytes"]
    assert one["params"] == two["params"]


def test_costs_of_several_studies_are_all_there(command: Command) -> None:
    Path("other.yaml").write_text(edited(("study: tiny", "study: other")))
    values = json.loads(command("costs", "s.yaml", "other.yaml", "lenet", "--json")[1])
    assert list(values) == ["tiny.two", "tiny.one", "tiny.wide", "other.two", "other.one", "other.wide", "lenet"]


def test_costs_are_a_table_for_people(command: Command) -> None:
    lines = command("costs", "nin_book", "lenet")[1].splitlines()
    assert lines[0].split()[:5] == ["network", "images", "params", "MACs", "FLOPs"]
    assert lines[1].split()[:5] == ["nin_book", "1x224x224", "1,992,166", "762,297,352", "1,524,594,704"]


def test_costs_are_for_the_images_that_are_asked_for(command: Command) -> None:
    values = json.loads(command("costs", "nin_small", "lenet", "--data", "cifar10", "--size", "24", "--json")[1])
    assert {(each["in_channels"], each["size"], each["num_classes"]) for each in values.values()} == {(3, 24, 10)}
    assert values["lenet"]["params"] == costs(PRESETS["lenet"], in_channels=3, size=24, num_classes=10).params
    code, out, err = command("costs", "lenet", "--data", "cifr10")
    assert (code, out, err) == (2, "", "error: --data: no data set 'cifr10'; did you mean 'cifar10'?\n")
    told = "error: --data and --size are for networks; the study tiny says what its images are\n"
    assert command("costs", "s.yaml", "--size", "20") == (2, "", told)


# summary


def test_summary_is_a_row_a_layer_and_their_sum(command: Command) -> None:
    code, out, err = command("summary", "nin_book")
    lines = [line.split() for line in out.splitlines()]
    assert (code, err) == (0, "")
    assert lines[0] == ["nin_book,", "for", "1x224x224", "images", "and", "10", "classes"]
    assert lines[2] == ["block1.spatial", "Conv2d", "96x54x54", "11,712", "33,872,256", "1,119,744"]
    total = next(line for line in lines if line and line[0] == "all")
    assert total[1:3] == ["1,992,166", "762,297,352"]


def test_summary_json_has_the_layer_table(command: Command) -> None:
    rows = json.loads(command("summary", "lenet", "--size", "32", "--json")[1])
    assert sum(row["params"] for row in rows) == costs(PRESETS["lenet"], in_channels=1, size=32, num_classes=10).params
    assert rows[0]["out_shape"] == [6, 32, 32]


def test_a_network_that_cannot_be_at_a_size_names_the_layer(command: Command) -> None:
    assert command("summary", "nin_book", "--size", "28") == (
        2,
        "",
        "error: nin_book cannot be priced for 1x28x28 images and 10 classes: block2.pool needs an input of at least 3x3, it has "
        "2x2. Give others with --data and --size.\n",
    )
    assert command("costs", "nin_book", "--size", "28") == command("summary", "nin_book", "--size", "28")
    code, _, err = command("summary", "nin_bok")
    assert (code, err) == (2, "error: no network 'nin_bok'; did you mean 'nin_book'?\n")


def test_a_misspelt_preset_names_the_nearest(command: Command) -> None:
    code, _, err = command("costs", "nin_bok")
    assert (code, err) == (2, "error: nin_bok: no such study file. Give a path, or a name; did you mean 'nin_book'?\n")


# report


@pytest.fixture
def store(migrated_database: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The store of this folder, with two studies, one of them at two profiles; none of their trials has run."""
    from waiting import Recorder

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(migrated_database, "mlflow.db")
    uri = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    other = edited(("study: tiny", "study: other"))
    for text, profile in ((TEXT, "starter"), (TEXT, "short"), (other, "starter")):
        Recorder(uri, planned(text, profile), text)
    return uri


def outdate(uri: str, experiment: str) -> None:
    """Makes a recorded plan one that only another version of the suite can read."""
    from mlflow import MlflowClient

    client = MlflowClient(uri)
    (run,) = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    client.log_text(run.info.run_id, '{"shape": "of the future"}', "plan.json")


def reports(*names: str) -> str:
    """What a command says that wrote these reports."""
    return "".join(f"report: reports/{name}/index.html\n" for name in names)


INDEX = "index: reports/index.html\n"


@pytest.mark.usefixtures("store")
def test_all_that_is_recorded_is_reported_with_an_index(command: Command) -> None:
    expected = reports("other/starter", "tiny/short", "tiny/starter") + INDEX
    assert command("report") == (0, expected, "")
    page = Path("reports/index.html").read_text()
    links = re.findall(r'href="(.*?/index\.html)"', page)
    assert links == ["other/starter/index.html", "tiny/short/index.html", "tiny/starter/index.html"]
    assert all((Path("reports") / link).is_file() for link in links)


@pytest.mark.usefixtures("store")
def test_several_studies_are_reported_in_their_order_at_every_profile(command: Command) -> None:
    expected = reports("tiny/short", "tiny/starter", "other/starter") + INDEX
    assert command("report", "s.yaml", "other") == (0, expected, "")


@pytest.mark.usefixtures("store")
def test_a_profile_keeps_to_that_profile(command: Command) -> None:
    assert command("report", "--profile", "starter")[1] == reports("other/starter", "tiny/starter") + INDEX
    assert command("report", "--profile", "short", "--output", "one") == (0, "report: one/tiny/short/index.html\n", "")
    assert not Path("one/index.html").exists(), "one report needs no index"


@pytest.mark.usefixtures("store")
def test_one_study_at_several_profiles_needs_one_of_them(command: Command) -> None:
    message = "error: tiny is recorded at several profiles; choose one with --profile: short, starter\n"
    assert command("report", "tiny") == (2, "", message)
    assert command("report", "tiny", "-p", "short") == (0, reports("tiny/short"), "")
    assert command("report", "other") == (0, reports("other/starter"), "")
    assert not Path("reports/index.html").exists()


def test_a_study_that_cannot_be_read_stops_no_other(command: Command, store: str) -> None:
    outdate(store, "other/starter")
    reason = "the plan of other/starter was recorded by another version of the suite, or edited."
    code, out, err = command("report")
    assert (code, out) == (0, reports("tiny/short", "tiny/starter") + INDEX)
    assert err.startswith(f"warning: no report of other at profile starter: {reason}")
    assert reason in Path("reports/index.html").read_text()

    code, out, err = command("report", "tiny", "other")
    assert (code, out) == (2, reports("tiny/short", "tiny/starter") + INDEX)
    assert err.startswith(f"error: no report of other at profile starter: {reason}")


def test_no_report_at_all_is_an_error(command: Command, store: str) -> None:
    for experiment in ("other/starter", "tiny/starter"):
        outdate(store, experiment)
    code, out, err = command("report", "--profile", "starter")
    assert (code, out) == (2, INDEX)
    assert err.count("recorded by another version of the suite") == 2


@pytest.mark.usefixtures("store")
def test_nothing_is_reported_if_a_named_study_is_not_there(command: Command) -> None:
    code, out, err = command("report", "tiny", "tinny", "--profile", "starter")
    assert (code, out) == (2, "")
    told = "holds no study 'tinny' at profile 'starter'; did you mean 'tiny'? No study file has this name, either; give the path"
    assert told in err
    assert not Path("reports").exists()


@pytest.mark.usefixtures("store")
@pytest.mark.parametrize("name", ["report", "status"])
def test_a_study_that_is_not_recorded_is_run_by_its_file(command: Command, name: str) -> None:
    Path("new.yaml").write_text(edited(("study: tiny", "study: renamed")))
    for typed, meant, run in (
        ("new.yaml", "renamed", "new.yaml"),
        ("new", "renamed", "new"),
        ("head", "head", "head"),
        ("renamed", "renamed", None),
    ):
        code, out, err = command(name, typed)
        assert (code, out) == (2, "")
        what = (
            f"Run it first: python -m ablations run {run}"
            if run
            else "No study file has this name, either; give the path"
        )
        assert f"holds no study '{meant}'; known here: other, tiny. {what}" in err
    code, _, err = command(name, "s.yaml", "--profile", "book")
    assert code == 2
    assert err.endswith(
        "holds no study 'tiny' at profile 'book'; recorded at short, starter. Run it first: python -m ablations run s.yaml --profile book\n"
    )
    code, _, err = command(name, "../../etc")
    assert (code, "holds no study '../../etc'" in err) == (2, True)


@pytest.mark.usefixtures("store")
def test_a_recorded_study_is_found_by_what_it_was_run_by(command: Command) -> None:
    Path("mine.yaml").write_text(edited())
    told = command("status", "tiny", "--profile", "starter")[1]
    code, out, err = command("status", "mine", "--profile", "starter")
    assert (code, out, err) == (0, told.replace("run tiny", "run mine"), "")
    # A recorded name comes before a file's.
    Path("other.yaml").write_text(edited())
    assert command("status", "other")[1].startswith("other, profile starter: ")


def test_a_terminal_shows_what_a_store_says_and_does_not_obey_it(command: Command, store: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(store)
    experiment = client.get_experiment_by_name("other/starter").experiment_id
    client.create_run(
        experiment, tags={"ablations.kind": "trial", "ablations.status": "finished"}, run_name="\x1b]0;owned\x07\u202e"
    )
    code, _, err = command("status", "other")
    assert code == 2
    assert "(\\x1b]0;owned\\x07\\u202e) are not as recorded" in err
    assert err.replace("\n", "").isprintable()


@pytest.mark.parametrize("name", ["run", "report", "status"])
def test_a_password_is_written_nowhere(command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    study = [] if name == "report" else ["s.yaml"]
    _, out, err = command(name, *study, "--tracking-uri", "http://me:secret@127.0.0.1:9")
    written = "".join(path.read_text(errors="replace") for path in Path().rglob("*") if path.is_file())
    assert "127.0.0.1:9" in out + err
    assert "secret" not in out + err + written


@pytest.mark.parametrize("name", ["report", "status", "export", "ui"])
def test_a_server_that_is_away_is_no_wrong_input(command: Command, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    code, _, err = command(name, "tiny", "--tracking-uri", "http://127.0.0.1:9")
    assert code == 1
    assert err.startswith("error: the MLflow server at http://127.0.0.1:9 does not answer (")
    assert err.endswith("). Try again later, or name another store with --tracking-uri.\n")


def test_a_password_is_on_no_command_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    started = []

    def start(arguments: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        started.append((arguments, env))
        return subprocess.CompletedProcess(arguments, 0)

    monkeypatch.setattr(subprocess, "run", start)
    code, out, err = command("ui", "--tracking-uri", "postgresql://me:secret@host/db")
    ((arguments, environ),) = started
    assert "secret" not in f"{arguments}{out}{err}"
    assert (code, environ["MLFLOW_BACKEND_STORE_URI"]) == (0, "postgresql://me:secret@host/db")
    assert arguments[4:8] == ["--host", "127.0.0.1", "--port", "5000"]


def test_ui_says_where_the_study_is(command: Command, monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    from ablations.tracking.reader import study_page

    monkeypatch.setattr(subprocess, "run", lambda arguments, env: subprocess.CompletedProcess(arguments, 0))
    _, out, err = command("ui", "tiny", "--profile", "short", "--port", "5001")
    page = study_page(store, "tiny", "short")
    assert (out, err) == (f"MLflow at http://127.0.0.1:5001/{page} (Ctrl-C ends it)\n", "")
    code, out, err = command("ui", "nothing")
    assert (code, out) == (2, "")
    assert "holds no study 'nothing'" in err


def test_ui_says_that_its_port_is_taken(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: pytest.fail("started"))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        told = f"error: port {port} cannot be used: Address already in use. Give another one with --port.\n"
        assert command("ui", "--port", str(port)) == (2, "", told)


def test_ui_starts_nothing_where_a_server_runs_already(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **named: pytest.fail("started"))
    assert command("ui", "--tracking-uri", "http://me:secret@host:80/") == (0, "http://***@host:80/\n", "")


# status


@pytest.mark.usefixtures("store")
def test_status_says_what_to_do_next(command: Command) -> None:
    code, out, err = command("status", "s.yaml", "--profile", "starter")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "tiny, profile starter: Does a bar need a 1x1 convolution?"
    assert [line.split()[:3] for line in lines[2:5]] == [[name, "···", "··"] for name in ("two", "one", "wide")]
    assert lines[-1] == "nothing runs it now. Go on with: python -m ablations run s.yaml --profile starter"
    assert "run tiny --profile starter" in command("status", "tiny", "--profile", "starter")[1]


def test_status_of_all_is_a_line_for_each(command: Command, store: str) -> None:
    from ablations.tracking.lock import hold

    with hold(store, "tiny", "short"):
        code, out, err = command("status")
    assert (code, err) == (0, "")
    others, short, starter = out.splitlines()
    assert others.startswith("other, profile starter: 0 of ")
    assert short.startswith("tiny, profile short: 0 of ")
    assert (short.endswith(" trainings done, runs"), starter.endswith(" trainings done")) == (True, True)
    outdate(store, "other/starter")
    code, out, err = command("status", "--profile", "starter")
    assert (code, out) == (0, f"{starter}\n")
    assert err.startswith(
        "warning: no status of other at profile starter: the plan of other/starter was recorded by another"
    )
    outdate(store, "tiny/starter")
    code, out, err = command("status", "--profile", "starter")
    assert (code, out, err.count("recorded by another version")) == (2, "", 2)


def test_status_shows_a_question_and_does_not_obey_it(command: Command, store: str) -> None:
    from waiting import Recorder

    Recorder(store, replace(planned(), question="Is it\x1b]0;owned\x07 \u202e?"), TEXT)
    code, out, _ = command("status", "tiny", "--profile", "starter")
    assert (code, out.splitlines()[0]) == (0, "tiny, profile starter: Is it\\x1b]0;owned\\x07 \\u202e?")


@pytest.mark.parametrize(("num_attempts", "option"), [(2, ""), (3, " --retry")])
def test_status_says_why_a_trial_failed_and_how_it_is_tried_again(
    num_attempts: int, option: str, command: Command, store: str
) -> None:
    import tiny
    from waiting import Recorder

    from ablations.trial import TrialResult

    search = TEXT[TEXT.index("search_space:") : TEXT.index("seeds: 2")]
    text = edited(("study: tiny", "study: sad"), (search, ""), ("seeds: 2", "seeds: 1"))
    plan = planned(text)
    recorder = Recorder(store, plan, text)
    for name in ("two", "one", "wide"):
        spec = plan.trial(name, "confirm", 0, {})
        failed = TrialResult(
            spec.id, "failed", message="it says \x1b]0;owned\x07", reason="error", num_attempts=num_attempts
        )
        recorder.start(spec)
        recorder.end(spec, failed if name == "one" else tiny.result(spec))
    recorder.close(True)
    code, out, _ = command("status", "sad")
    assert code == 0
    assert "it says \\x1b]0;owned\\x07" in out
    assert "\x1b" not in out
    assert out.endswith(f"nothing runs it now. Go on with: python -m ablations run sad --profile starter{option}\n")


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        (
            "python -m ablations run 'my studies/a.yaml' --profile starter --data-dir /d",
            "python -m ablations run 'my studies/a.yaml' --profile starter --data-dir /d",
        ),
        ("python -m ablations run a.yaml; rm -rf ~", "python -m ablations run 'a.yaml;' rm -rf '~'"),
        ("rm -rf ~", "python -m ablations run sad --profile starter"),
        ("python -m ablations run 'a.yaml", "python -m ablations run sad --profile starter"),
        ("ablations.load('a.yaml').run('starter')", "python -m ablations run sad --profile starter"),
    ],
)
def test_status_knows_how_a_study_was_run_whose_file_is_elsewhere(
    recorded: str, told: str, command: Command, store: str
) -> None:
    import tiny
    from waiting import Recorder

    text = edited(("study: tiny", "study: sad"))
    plan = planned(text)
    recorder = Recorder(store, plan, text, session={"command": recorded})
    spec = plan.trial("two", "confirm", 0, {"train.lr": 0.05})
    recorder.start(spec)
    recorder.end(spec, tiny.result(spec))
    recorder.close(False)
    assert command("status", "sad")[1].splitlines()[-1] == f"nothing runs it now. Go on with: {told}"
    Path("sad.yaml").write_text(text)
    assert command("status", "sad")[1].endswith("python -m ablations run sad --profile starter\n")


def test_status_names_who_runs_it(command: Command, store: str) -> None:
    from ablations.tracking.lock import hold

    with hold(store, "tiny", "short"):
        out = command("status", "tiny", "--profile", "short")[1]
    assert out.splitlines()[-1].startswith(f"it is being run by process {os.getpid()} on ")


def test_where_no_report_can_be_written_nothing_is_trained(command: Command) -> None:
    Path("mine").write_text("a file")
    code, out, err = command("run", "s.yaml", "--output", "mine/reports", "--quiet")
    problem = f"the report cannot be written: {Path('mine').absolute()} is no folder to write in"
    assert (code, out, err) == (2, "", f"error: {problem}. Name another with --output.\n")
    assert not Path("mlflow.db").exists()


def test_quiet_and_json_lines_exclude_each_other(command: Command) -> None:
    code, out, err = command("run", "s.yaml", "--quiet", "--json-lines")
    assert (code, out) == (2, "")
    assert "--quiet and --json-lines cannot go together" in err


def test_a_dry_run_takes_no_networks_that_wait_for_the_real_store(command: Command) -> None:
    code, out, err = command("run", "s.yaml", "--dry-run", "--log-models")
    assert (code, out) == (2, "")
    assert "--dry-run and --log-models cannot go together" in err


def test_an_empty_address_is_no_way_to_say_this_machine(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    from ablations import session
    from ablations.errors import SetupError

    def connect(address: str) -> None:
        raise SetupError(f"{address!r} is no address")

    monkeypatch.setattr(session, "connect", connect)
    code, out, err = command("run", "s.yaml", "--cluster", "", "--max-minutes", "0")
    assert (code, out) == (2, "")
    assert "'' is no address" in err


@pytest.mark.parametrize(
    ("is_terminal", "environment", "kind"),
    [
        (True, {"CI": "false", "TERM": "xterm"}, "LiveProgress"),
        (True, {"CI": "true", "TERM": "xterm"}, "PlainProgress"),
        (True, {"CI": "", "TERM": "dumb"}, "PlainProgress"),
        (False, {"CI": "", "TERM": "xterm", "FORCE_COLOR": "1"}, "PlainProgress"),
    ],
)
def test_a_grid_is_for_people_before_a_terminal(
    is_terminal: bool, environment: dict[str, str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: is_terminal)
    assert type(cli._display(planned(), CPU, quiet=False, json_lines=False)).__name__ == kind


def test_an_empty_store_has_nothing_to_report(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    code, out, err = command("report")
    assert (code, out) == (2, "")
    assert err.startswith(
        f"error: no MLflow store is at {Path.cwd() / 'mlflow.db'}: nothing was run here yet. Go to the folder"
    )
    assert err.endswith("Or run one here: python -m ablations run one_by_one\n")
    assert command("status", "s.yaml")[2] == err.replace("one_by_one", "s.yaml")
    assert command("status", "nonsuch")[2] == err
    assert not Path("mlflow.db").exists()


# Wrong input

WRONG = [
    (["plan", "s.yaml", "--profile", "strater"], "error: s.yaml:19:1: profiles: no profile 'strater'; did you mean 'starter'?\n"),
    (["plan", "missing.yaml"], "error: missing.yaml: no such study file. Give a path, or a name; "),
    (["plan", "."], "error: .: is a folder, not a study file."),
    (["costs", "wrong.yaml"], "error: wrong.yaml:6:19: base.train.epochs: must be a whole number; given 'three'.\n"),
    (["run", "wrong.yaml"], "error: wrong.yaml:6:19: base.train.epochs: must be a whole number; given 'three'.\n"),
    (["run", "s.yaml", "--profile", "strater"], "error: s.yaml:19:1: profiles: no profile 'strater'"),
    (["plan"], "Usage: "),
    (["plan", "s.yaml", "--proflie", "x"], "Usage: "),
    (["plan", "s.yaml", "extra"], "Usage: "),
    (["plan", "s.yaml", "--profile"], "Error: Option '--profile' requires an argument."),
    (["chek"], "Usage: "),
    (["run", "s.yaml", "--max-minutes", "soon"], "Usage: "),
    (["run", "s.yaml", "--max-minutes", "-1"], "Usage: "),
    (["ui", "--port", "0"], "Usage: "),
    (["--nonsense"], "Usage: "),
]  # fmt: skip


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=lambda value: " ".join(value)[:40])
def test_wrong_input_ends_in_2_and_a_few_words(command: Command, arguments: list[str], message: str) -> None:
    Path("wrong.yaml").write_text(edited(("epochs: 3", "epochs: three")))
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(message)
    assert err.count("\n") <= 5
    assert "Traceback" not in err


def test_nothing_is_written_for_wrong_input(command: Command, tmp_path: Path) -> None:
    command("run", "s.yaml", "--profile", "strater")
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_wrong_input_ends_in_2_as_a_process_too() -> None:
    Path("s.yaml").write_text(edited(("seeds: 2", "sedes: 2")))
    done = process(sys.executable, "-m", "ablations", "run", "s.yaml")
    expected = "error: s.yaml:10:1: sedes: unknown key 'sedes'; did you mean 'seeds'?\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", expected)


def test_help_is_no_error(command: Command) -> None:
    for arguments in (["--help"], ["-h"], ["plan", "--help"]):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        assert "Usage: " in out


def test_an_interrupt_ends_in_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ablations.studyfile.loading.read_file", interrupt)
    code, _, err = command("check", "s.yaml")
    assert code == 130
    assert "Traceback" not in err


def test_a_python_that_lacks_what_the_suite_needs_is_told_so() -> None:
    done = process(sys.executable, "-S", "-m", "ablations", "doctor")
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert done.stderr.startswith(f"error: typer is not installed for {sys.executable}. `make run` installs")


def test_a_shell_completes_the_script() -> None:
    shown = process(sys.executable, "-m", "ablations", "--show-completion", "bash").stdout
    assert shown.splitlines()[-1] == "complete -o default -F _ablations_completion ablations"
    assert " _ABLATIONS_COMPLETE=complete_bash " in shown
    script = [sys.executable, "-c", "import sys; sys.argv[0] = 'ablations'; from ablations import cli; cli.main()"]
    for words, completed in (
        ("ablations sta", "status"),
        ("ablations run one_by", "one_by_one"),
        ("ablations run s.y", ""),
    ):
        environ = {"_ABLATIONS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
        assert process(*script, **environ).stdout.strip() == completed


def test_the_list_of_commands_is_not_cut_off_in_eighty_columns(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    listed = command("--help")[1].partition("Commands:\n")[2]
    assert len(listed.splitlines()) > 10
    assert "..." not in listed


def test_a_run_that_is_interrupted_at_once_says_how_it_goes_on(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ablations.session.local_executor", lambda *given, **named: None)
    monkeypatch.setattr("ablations.session.run", interrupt)
    code, _, err = command("run", "s.yaml", "--profile", "starter")
    assert code == 130
    assert (
        "interrupted; what was recorded is kept, and so are checkpoints. Go on with: python -m ablations run s.yaml"
        in err
    )


def test_a_reader_that_goes_away_ends_the_command_without_a_word() -> None:
    done = process("bash", "-c", f"{sys.executable} -m ablations costs | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (1, "")


def test_letters_that_the_terminal_has_not_are_no_error() -> None:
    Path("s.yaml").write_text(edited(("Does a bar", "≥ bar")))
    done = process(sys.executable, "-m", "ablations", "plan", "s.yaml", "-p", "starter", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2265 bar" in done.stdout


# What is not imported


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "s.yaml"],
        ["plan", "s.yaml"],
        ["plan", "s.yaml", "--json"],
        ["--help"],
        ["init", "mine.yaml"],
        ["schema"],
        ["costs", "s.yaml"],
        ["summary", "lenet"],
    ],
    ids=" ".join,
)
def test_quick_commands_load_nothing_heavy(arguments: list[str]) -> None:
    code = "import sys, atexit; from ablations.cli import main; atexit.register(lambda: print(*sorted(sys.modules))); main()"
    done = process(sys.executable, "-c", code, *arguments)
    assert done.returncode == 0
    loaded = done.stdout.splitlines()[-1].split()
    assert "ablations.cli" in loaded
    # What a plan can decide is reckoned with scipy.special; scipy.stats, which is slow to load, is not needed.
    heavy = set(HEAVY) - ({"scipy"} if arguments[0] == "plan" else set())
    assert not {name.partition(".")[0] for name in loaded} & heavy
    assert "scipy.stats" not in loaded


def test_quick_commands_hardly_look_for_garbage() -> None:
    code = (
        "import atexit, gc, runpy, sys; sys.argv = ['ablations', 'check', 's.yaml'];"
        "atexit.register(lambda: print(sum(each['collections'] for each in gc.get_stats()), gc.get_freeze_count()));"
        "runpy.run_module('ablations', run_name='__main__')"
    )
    done = process(sys.executable, "-c", code)
    assert done.returncode == 0
    collections, left_alone_at_exit = map(int, done.stdout.splitlines()[-1].split())
    assert collections < 20, "over 80 without __main__'s threshold"
    assert left_alone_at_exit > 10_000


def test_planning_loads_no_numpy_either() -> None:
    code = "import sys, ablations.planning.planner; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    done = process(sys.executable, "-c", code)
    assert done.returncode == 0
    assert not set(done.stdout.split()) & {*HEAVY, "numpy", "rich", "typer", "yaml"}


# export


@pytest.mark.usefixtures("store")
def test_a_study_is_exported(command: Command) -> None:
    code, out, err = command("export", "other", "--output", "for others")
    assert (code, err) == (0, "")
    assert out == (
        "for others/other/starter/trials.csv: 0 trials\n"
        "for others/other/starter/trials.parquet: 0 trials\n"
        "for others/other/starter/tuning.db: the search; look at it with: "
        "optuna-dashboard 'sqlite:///for others/other/starter/tuning.db'\n"
    )
    assert len(list(Path("for others/other/starter").iterdir())) == 3


@pytest.mark.usefixtures("store")
def test_what_cannot_be_exported_is_told(command: Command) -> None:
    assert command("export", "othe")[2].startswith(
        f"error: sqlite:///{Path.cwd() / 'mlflow.db'} holds no study 'othe'; did you"
    )
    Path("exports").write_text("in the way")
    assert command("export", "other") == (
        2,
        "",
        "error: nothing can be written to exports/other/starter: Not a directory. Name another with --output.\n",
    )


# Going on


def test_a_stopped_run_says_how_to_go_on_with_the_options_it_had() -> None:
    given = ("--tracking-uri", "sqlite:///my store.db", "--output", "else where")
    done = process(sys.executable, "-m", "ablations", "run", "s.yaml", *given, "--max-minutes", "0")
    code, out, err = done.returncode, done.stdout, done.stderr
    assert (code, err) == (3, "")
    again = (
        "python -m ablations run s.yaml --profile starter --tracking-uri 'sqlite:///my store.db' --output 'else where'"
    )
    assert f"Go on with: {again}\n" in out
    assert "MLflow: python -m ablations ui tiny --profile starter --tracking-uri 'sqlite:///my store.db'\n" in out


def test_where_checkpoints_cannot_be_kept_nothing_is_trained(command: Command) -> None:
    Path(".ablations").write_text("a file where the folder should be")
    code, out, err = command("run", "s.yaml")
    assert code == 2
    assert err == (
        "error: checkpoints cannot be kept in .ablations/checkpoints: Not a directory. Run in a folder that you may write to.\n"
    )
    assert "trained" not in out
    assert not Path("mlflow.db").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_said_in_one_line() -> None:
    done = process("bash", "-c", f"{sys.executable} -m ablations costs lenet > /dev/full")
    assert (done.returncode, done.stderr) == (1, "error: the output: No space left on device\n")
