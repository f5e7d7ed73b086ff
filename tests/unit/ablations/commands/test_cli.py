"""The command line: exit codes, what is printed where, and what is not imported."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from builders import edited
from commandline import HEAVY, Command, process

from ablations.commands import doctor, export, report, run


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


@pytest.mark.slow
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


WRONG = [
    (["plan", "s.yaml", "--profile", "strater"], "error: s.yaml:19:1: profiles: no profile 'strater'; did you mean 'starter'?\n"),
    (["plan", "missing.yaml"], "error: missing.yaml: no such study file. Give a path or a name; "),
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


def test_paths_of_every_command_may_begin_at_home(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    home, seen = tmp_path / "home", []
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    for module, name in ((doctor, "examine"), (report, "report"), (export, "export"), (run, "run")):
        monkeypatch.setattr(module, name, lambda *given: seen.append(given) or [])
    assert command("init", "~/mine.yaml")[0] == 0
    assert (home / "mine.yaml").exists()
    command("doctor", "--data-dir=~/data", "--output=~/reports")
    command("report", "--output=~/reports")
    command("export", "tiny", "--output=~/exports")
    monkeypatch.setenv("ABLATIONS_DATA", "~/elsewhere")
    command("run", "~/mine", "--output=~/reports")
    (data, _, reports), reported, exported, (options,) = seen
    assert (data, reports) == (home / "data", home / "reports")
    assert (reported[-1], exported[-1]) == (home / "reports", home / "exports")
    assert (options.data_dir, options.output) == (home / "elsewhere", home / "reports")
    assert not Path("~").exists()


def test_help_is_no_error(command: Command) -> None:
    for arguments in (["--help"], ["-h"], ["plan", "--help"]):
        code, out, err = command(*arguments)
        assert (code, err) == (0, "")
        assert "Usage: " in out


def test_an_interrupt_ends_in_130(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ablations.planning.checking.read_file", interrupt)
    code, _, err = command("check", "s.yaml")
    assert code == 130
    assert "Traceback" not in err


def test_a_python_that_lacks_what_the_suite_needs_is_told_so() -> None:
    done = process(sys.executable, "-S", "-m", "ablations", "doctor")
    assert (done.returncode, done.stdout, "Traceback" in done.stderr) == (1, "", False)
    assert done.stderr.startswith(f"error: typer is not installed for {sys.executable}. `make run` installs")


def test_a_library_that_is_missing_later_is_named_too() -> None:
    code = "import sys; sys.modules['mlflow'] = None; from ablations.__main__ import main; main()"
    done = process(sys.executable, "-c", code, "report")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: mlflow is not installed for {sys.executable}. ")
    assert "Traceback" not in done.stderr


def test_standard_output_is_kept_from_libraries_below_python() -> None:
    code = (
        "import os; from ablations import __main__, cli; "
        "cli.main = lambda: (print('own'), os.write(1, b'below')); __main__.main()"
    )
    done = process(sys.executable, "-c", code)
    assert (done.stdout, done.stderr) == ("own\n", "below")


def test_a_shell_completes_the_script() -> None:
    # Otherwise the shell is looked for among the parents of this process, and make runs some commands by sh.
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    shown = process(sys.executable, "-m", "ablations", "--show-completion", "bash", **named).stdout
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


def test_a_reader_that_goes_away_ends_the_command_without_a_word() -> None:
    done = process("bash", "-c", f"{sys.executable} -m ablations costs | true; exit ${{PIPESTATUS[0]}}")
    assert (done.returncode, done.stderr) == (1, "")


def test_letters_that_the_terminal_has_not_are_no_error() -> None:
    Path("s.yaml").write_text(edited(("Does a bar", "≥ bar")))
    done = process(sys.executable, "-m", "ablations", "plan", "s.yaml", "-p", "starter", PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")
    assert "\\u2265 bar" in done.stdout


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
