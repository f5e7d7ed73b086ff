"""The commands: parse, call, print, exit code. No logic, and nothing heavy is imported before a command needs it."""

from __future__ import annotations

import io
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ablations.text import in_words, plural, printable

if TYPE_CHECKING:
    from rich.console import Console

    from ablations.analysis.summary import StudySummary
    from ablations.costs import Measurement, Workload
    from ablations.errors import TrackingError
    from ablations.execution.cluster import Cluster
    from ablations.networks import Model
    from ablations.planning.plan import Plan
    from ablations.runner import Executor
    from ablations.session import Ran
    from ablations.studyfile.loading import StudyFile
    from ablations.terminal.displays import QuietProgress
    from ablations.tracking.reader import StoredProgress
    from ablations.trial import Machine
    from nin.presets import Input

DONE, FAILED, WRONG_INPUT, STOPPED, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes; README.md explains them."""

app = typer.Typer(
    help="Ablation studies of Network-in-Network CNNs: from a YAML file to an honest comparison report.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _named(incomplete: str) -> list[str]:
    """Studies that a shell completes by their names; files it completes itself."""
    from ablations.studyfile.loading import shipped_studies

    return [file.stem for file in shipped_studies() if file.stem.startswith(incomplete)]


StudyArgument = Annotated[
    str,
    typer.Argument(
        help="Study file (.yaml may be left out), or the name of a study that ships with the suite.",
        autocompletion=_named,
    ),
]
ProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", help="Scale to run at; default: book on CUDA, else starter.")
]
UriOption = Annotated[
    str | None,
    typer.Option(help="MLflow store; default: $MLFLOW_TRACKING_URI, else mlflow.db in this folder."),
]
RecordedArgument = Annotated[
    str, typer.Argument(help="Study in the store: its name, or its file.", autocompletion=_named)
]
RecordedProfileOption = Annotated[
    str | None, typer.Option("--profile", "-p", help="Of the study; needed if it is recorded at several.")
]
OutputOption = Annotated[Path, typer.Option(help="Folder of the reports.")]
DataOption = Annotated[Path, typer.Option(help="Folder of the data sets.", envvar="ABLATIONS_DATA", show_envvar=True)]
ExtendOption = Annotated[
    bool,
    typer.Option("--extend", help="Take the second planned look, on the more seeds that the study's extend_to names."),
]
MeasureOption = Annotated[
    bool, typer.Option("--measure", help="Measure memory, speed and latency here, too; a few seconds a network.")
]
ImagesOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data set whose images networks are priced for; default: the preset's own, for others fashion_mnist.",
    ),
]
SizeOption = Annotated[int | None, typer.Option(min=1, help="Side of the images in pixels; default: the data set's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


class UserError(Exception):
    """Something that the user can put right; the message says how."""

    def __init__(self, message: str, code: int = WRONG_INPUT) -> None:
        super().__init__(message)
        self.code = code


def main() -> None:
    """Run the command line; every error that a user can cause ends in a message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A question may have letters that the terminal's encoding has not.
            stream.reconfigure(errors="backslashreplace")
    # A shell completes the arguments of one word, and `python -m ablations` is three; the script `ablations` does the same.
    completion = {"--install-completion", "--show-completion"} & set(sys.argv[1:2])
    try:
        app(prog_name="ablations" if completion else None)
    except UserError as error:
        _fail(str(error), error.code)
    except ValueError as error:
        from ablations.errors import StudyFileError

        if not isinstance(error, StudyFileError):
            raise
        _fail(str(error), WRONG_INPUT)
    except KeyboardInterrupt:
        _fail("interrupted", INTERRUPTED)
    except OSError as error:
        _fail(f"{error.filename or 'the output'}: {error.strerror}", FAILED)


def _fail(message: str, code: int) -> None:
    _say(f"error: {message}")
    sys.exit(code)


def _say(message: str) -> None:
    """A message on stderr; what files and stores have put into it is shown, not obeyed by the terminal."""
    print(printable(message), file=sys.stderr)


@app.command()
def check(
    studies: Annotated[list[str] | None, typer.Argument(help="Study files or names; default: all that ship.")] = None,
) -> None:
    """Check study files: every key, variant and profile. Trains nothing."""
    from ablations.errors import StudyFileError
    from ablations.studyfile.loading import find, read_file, shipped_studies
    from ablations.trial import Machine

    names = studies or [str(path) for path in shipped_studies()]
    machine = Machine("cpu", bf16=False, num_workers=1, description="")
    wrong = []
    for name in names:
        try:
            study = read_file(find(name))
            plans = [_plan(study, profile, machine) for profile in study.spec.profiles]
        except StudyFileError as error:
            wrong.append(str(error))
            continue
        trials = ", ".join(f"{plan.profile} {plural(len(plan.cells), 'training')}" for plan in plans)
        print(f"{study.path}: ok: {plural(len(plans[0].variants), 'variant')}; {trials}")
    if wrong:
        raise UserError("\n".join(wrong))


@app.command()
def init(
    path: Annotated[Path, typer.Argument(help="File to write, such as my_study.yaml; its name becomes the study's.")],
    source: Annotated[
        str | None, typer.Option("--from", help="Study to copy: a file, or the name of one that ships with the suite.")
    ] = None,
) -> None:
    """Write a study to start from.

    The schema that editors complete and check it with is written beside it.
    """
    from ablations.studyfile.loading import find, read_file
    from ablations.studyfile.schema import SCHEMA_FILE, study_schema
    from ablations.studyfile.spec import NAME
    from ablations.studyfile.template import TEMPLATE, copied
    from ablations.text import readable

    if path.suffix not in {".yaml", ".yml"} or not NAME.fullmatch(path.stem):
        raise UserError(
            f"{readable(str(path))}: a study file is called as its study is, with .yaml behind it. A name has 1 to 64 "
            "characters of a-z, 0-9 and '_', and does not start with '_'."
        )
    file = read_file(find(source) if source else TEMPLATE)
    try:
        with path.open("x", encoding="utf-8") as new:
            new.write(copied(file, path))
    except FileExistsError as error:
        raise UserError(f"{path} is there already, and stays as it is. Give another name.") from error
    except OSError as error:
        raise UserError(
            f"{path} cannot be written: {error.strerror}. Give a file in a folder that is there, and that you may write to."
        ) from error
    schema = path.with_name(SCHEMA_FILE)
    schema.write_text(json.dumps(study_schema(), indent=1) + "\n", encoding="utf-8")
    profile = "starter" if "starter" in file.spec.profiles else next(iter(file.spec.profiles))
    print(f"{path}: written; {schema} lets editors complete and check it")
    run = shlex.join(["python", "-m", "ablations", "run", str(path), "--profile", profile])
    print(f"next: make its question yours, then {run}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of the study file, for editors.

    Its place is beside the studies, as study.schema.json.
    """
    from ablations.studyfile.schema import study_schema

    print(json.dumps(study_schema(), indent=1))


@app.command()
def plan(
    study: StudyArgument,
    profile: ProfileOption = None,
    extend: ExtendOption = False,
    measure: MeasureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do, and what it costs. Trains nothing."""
    from ablations.execution.environment import detect

    file = _study(study)
    machine = detect()
    name, why = _choose_profile(file, profile, machine)
    planned = _plan(file, name, machine, extend=extend)
    workloads = [planned.workload(variant.name) for variant in planned.variants]
    measured = _measure(workloads, machine) if measure else {}
    if as_json:
        print(json.dumps(_plan_json(planned, measured), indent=2))
        return
    from ablations.terminal.printing import print_plan

    print_plan(planned, machine, why, measured, _console())


@app.command()
def run(
    study: StudyArgument,
    profile: ProfileOption = None,
    tracking_uri: UriOption = None,
    data_dir: DataOption = Path("data"),
    output: OutputOption = Path("reports"),
    extend: ExtendOption = False,
    max_minutes: Annotated[
        float | None, typer.Option(min=0, help="Stop after this time, between epochs; the same command goes on later.")
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="All but the training: made-up numbers, store and report in a temporary folder."
        ),
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try trials again that were given up after three failed attempts.")
    ] = False,
    log_models: Annotated[
        bool,
        typer.Option("--log-models", help="Record the networks of the confirmations that this run trains, too."),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and errors.")] = False,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Say all in JSON, an object an event, for other programs.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train on a Ray cluster: auto for the one that this machine belongs to, else HOST:PORT; local starts one here.",
        ),
    ] = None,
) -> None:
    """Train what is missing, log it to MLflow, write the report."""
    from ablations import session
    from ablations.doctor import existing_part
    from ablations.errors import SetupError
    from ablations.execution.dry import DryExecutor
    from ablations.execution.environment import detect
    from ablations.terminal.displays import JsonProgress
    from ablations.terminal.printing import headline

    started = time.monotonic()
    if quiet and json_lines:
        raise UserError("--quiet and --json-lines cannot go together: give one of them")
    for both, names in (
        (dry_run and cluster is not None, "--dry-run and --cluster"),
        (log_models and cluster is not None, "--log-models and --cluster"),
        # It trains no networks, and would take for its own those that wait for the user's store.
        (dry_run and log_models, "--dry-run and --log-models"),
    ):
        if both:
            raise UserError(f"{names} cannot go together: leave one of them out")
    file = _study(study)
    nodes = None if cluster is None else _connect(cluster)
    machine = nodes.machine if nodes else detect()
    name, why = _choose_profile(file, profile, machine)
    planned = _plan(file, name, machine, extend=extend)
    display = _display(planned, machine, quiet=quiet, json_lines=json_lines)
    say = _unsaid if quiet or json_lines else print
    say(headline(planned, machine, why))
    if dry_run:
        # Never the user's store; and nobody shall take the report for a real one.
        output = Path(tempfile.mkdtemp(prefix="ablations-dry-run-"))
        tracking_uri = f"sqlite:///{output / 'mlflow.db'}"
        planned = replace(planned, question=f"{planned.question} (A dry run: every number is made up.)")
    there, usable = existing_part(output / planned.study / name)
    # Better said now than when all is trained; where this folder takes no files, its checkpoints say so.
    if not usable and existing_part(Path())[1]:
        raise UserError(f"the report cannot be written: {there} is no folder to write in. Name another with --output.")

    from ablations.errors import TrackingError
    from ablations.tracking.layout import default_uri
    from ablations.tracking.spool import weights_folder

    uri = tracking_uri or default_uri()
    given = _given(tracking_uri, data_dir, output, extend, cluster) | ({"--log-models": None} if log_models else {})
    weights_dir = weights_folder(uri, planned.study, planned.profile) if log_models else None
    again = _command(file, name, given)
    kept = "what was recorded is kept, and so are checkpoints"
    if isinstance(display, JsonProgress):
        display.planned()
    try:
        executor: Executor
        if dry_run:
            executor = DryExecutor(machine.num_workers)
        elif nodes:
            executor = session.cluster_executor(nodes, data_dir, display)
        else:
            executor = session.local_executor(machine, data_dir, display, weights_dir=weights_dir)
        deadline = None if max_minutes is None else started + 60 * max_minutes
        ran = session.run(
            planned,
            file.text,
            executor,
            display,
            tracking_uri=uri,
            command=again,
            deadline=deadline,
            weights_dir=weights_dir,
            retry=retry,
            elsewhere={"processor": ", ".join(nodes.processors)} if nodes else {},
        )
        page = _write(uri, ran.summary, output / planned.study / name, _now()) if ran.summary else None
    except TrackingError as error:
        raise _of_store(error) from error
    except SetupError as error:
        raise UserError(str(error)) from error
    except KeyboardInterrupt:
        _fail(f"interrupted; {kept}. Go on with: {again}", INTERRUPTED)
    except OSError as error:
        _fail(
            f"{error.filename or 'the output'}: {error.strerror}; {kept}. That put right, go on with: {again}", FAILED
        )
    outcome = ran.outcome

    code = _exit_code(ran)
    say(f"trained {plural(outcome.num_trained, 'trial')}, found {outcome.num_found} done before")
    if page is not None:
        say(f"report: {page}")
    say(f"MLflow: python -m ablations ui {planned.study} --profile {name}{_uri_option(tracking_uri)}")
    if planned.look < len(planned.looks) and outcome.state == "complete":
        extended = _command(file, name, given | {"--extend": None})
        say(f"what is undecided may be taken to {planned.looks[-1]} seeds, as planned: {extended}")
    if isinstance(display, JsonProgress):
        display.tell(
            "done", exit_code=code, **asdict(outcome), report=page and str(page), waiting=ran.waiting, command=again
        )
    for missing in outcome.unmeasured:
        _say(f"warning: memory and speed could not be measured: {missing}")
    for failure in outcome.given_up:
        _say(f"warning: {failure}")
    last = []
    if outcome.state == "interrupted":
        last.append(f"interrupted; what is done is kept. Go on with: {again}")
    elif outcome.state == "budget":
        last.append(f"stopped by --max-minutes; what is done is kept. Go on with: {again}")
    if ran.waiting:
        store = _uri_option(tracking_uri)
        last.append(
            f"{(ran.trouble or '').rstrip('.')}. Nothing is lost: {ran.waiting} wait for it. Write them with: python -m ablations sync{store}\n"
            f"and then the report with: python -m ablations report {planned.study} --profile {name}{store}"
        )
    if outcome.given_up:
        more = _command(file, name, given | {"--retry": None})
        last.append(f"{plural(len(outcome.given_up), 'trial')} failed and given up; tried again only by: {more}")
    if code == STOPPED:
        say("\n".join(last))
        sys.exit(STOPPED)
    if code != DONE:
        _fail("\n".join(last), code)


@app.command()
def sync(tracking_uri: UriOption = None) -> None:
    """Write to MLflow what waits for it on this machine.

    Records wait where it did not answer while a study ran.
    """
    from ablations.errors import StoreAwayError, TrackingError
    from ablations.tracking.layout import default_uri
    from ablations.tracking.lock import hold
    from ablations.tracking.recorder import sync as sync_study
    from ablations.tracking.spool import num_waiting, spools
    from ablations.tracking.store import shown_uri

    uri = tracking_uri or default_uri()
    waiting = spools(uri)
    for study, profile in waiting:
        try:
            with hold(uri, study, profile):
                count = sync_study(uri, study, profile)
        except StoreAwayError as error:
            left = sum(num_waiting(uri, *each) for each in waiting)
            _fail(f"{error}; {plural(left, 'record')} still waiting for it", FAILED)
        except TrackingError as error:
            raise _of_store(error) from error
        print(f"{study} at profile {profile}: {plural(count, 'record')} written to {shown_uri(uri)}")
    if not waiting:
        print(f"nothing waits for {shown_uri(uri)}")


@app.command()
def status(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Study in the store: its name, or its file; default: a line for each of all.", autocompletion=_named
        ),
    ] = None,
    profile: RecordedProfileOption = None,
    tracking_uri: UriOption = None,
) -> None:
    """Show how far a study is, whoever runs it.

    What is done, what runs and since when, from the tracking store.
    """
    from ablations.errors import TrackingError
    from ablations.terminal.grid import print_progress, sign_of_life
    from ablations.tracking.layout import default_uri
    from ablations.tracking.lock import held_by
    from ablations.tracking.reader import read_progress

    uri = tracking_uri or default_uri()
    if study is None:
        _status_of_all(uri, profile)
        return
    try:
        name, recorded_at = _recorded(uri, study, profile)
        stored = read_progress(uri, name, recorded_at)
    except TrackingError as error:
        raise _of_store(error) from error
    progress = stored.progress
    holder = held_by(uri, name, recorded_at)
    elsewhere = _may_run_elsewhere(uri, stored)
    if holder is None:
        if not elsewhere:
            progress.stopped()
        _warn_of_waiting(uri, name, recorded_at)
    console = _console()
    console.print(printable(f"{name}, profile {recorded_at}: {progress.plan.question}"), soft_wrap=True)
    print_progress(progress, console)
    for trouble in stored.troubles:
        console.print(printable(trouble.sentence), soft_wrap=True)
    num_given_up = sum(trouble.num_given_up for trouble in stored.troubles)
    at = f"--profile {recorded_at}{_uri_option(tracking_uri)}"
    again = _goes_on(study, stored, at)
    if holder is not None:
        print(printable(f"it is being run by {holder}"))
    elif elsewhere:
        alive = sign_of_life(progress, stored.since_ms, stored.heard_ms, time.time_ns() // 1_000_000)
        print(f"{alive} If that run was killed, go on with: {again}")
    elif progress.num_done < progress.num_trials or progress.count("failed"):
        # What is given up is left alone otherwise.
        only_given_up = progress.num_done == progress.num_trials and progress.count("failed") == num_given_up
        print(f"nothing runs it now. Go on with: {again}{' --retry' if only_given_up else ''}")
    else:
        print(f"all is done. The report again: python -m ablations report {name} {at}")


@app.command()
def report(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Study files or names; default: all that the store holds.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", "-p", help="Only this one; needed for one study that is recorded at several."),
    ] = None,
    tracking_uri: UriOption = None,
    output: OutputOption = Path("reports"),
) -> None:
    """Write reports again, from the tracking store alone. Trains nothing and needs no study file.

    Several studies are reported at every profile that they are recorded at, and index.html in the folder of the reports
    leads to each. A study that cannot be read stops no other.
    """
    from ablations.errors import TrackingError
    from ablations.tracking.layout import default_uri

    uri = tracking_uri or default_uri()
    try:
        if studies and len(studies) == 1:
            print(f"report: {_report(uri, *_recorded(uri, studies[0], profile), output)}")
        else:
            _report_all(uri, _all_recorded(uri, studies or [], profile), output, named=bool(studies))
    except TrackingError as error:
        raise _of_store(error) from error


@app.command()
def export(
    study: RecordedArgument,
    profile: RecordedProfileOption = None,
    tracking_uri: UriOption = None,
    output: Annotated[Path, typer.Option(help="Folder of what is written.")] = Path("exports"),
) -> None:
    """Write a study's trials as CSV and Parquet.

    And its search, where there was one, as a database for optuna-dashboard. All of it comes from the tracking store.
    """
    from ablations.errors import TrackingError
    from ablations.export import write_export
    from ablations.tracking.layout import default_uri
    from ablations.tracking.reader import read_study

    uri = tracking_uri or default_uri()
    try:
        name, at = _recorded(uri, study, profile)
        stored = read_study(uri, name, at)
    except TrackingError as error:
        raise _of_store(error) from error
    folder = output / name / at
    try:
        for path in write_export(stored.plan, stored.trials, folder):
            print(f"{path}: {plural(len(stored.trials), 'trial')}" if path.suffix != ".db" else _dashboard(path))
    except OSError as error:
        raise UserError(f"nothing can be written to {folder}: {error.strerror}. Name another with --output.") from error


def _dashboard(path: Path) -> str:
    return f"{path}: the search; look at it with: {shlex.join(['optuna-dashboard', f'sqlite:///{path}'])}"


@app.command()
def costs(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Networks, study files or study names; default: every preset.")
    ] = None,
    profile: ProfileOption = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Batch that networks' memory is for; a study has its own.")
    ] = 128,
    data: ImagesOption = None,
    size: SizeOption = None,
    measure: MeasureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Count params, MACs, FLOPs and memory of networks.

    Of presets, of networks that packages register, or of a study's variants; in closed form where there is one.
    """
    from ablations import networks
    from ablations.costs import Workload
    from ablations.execution.environment import detect
    from nin.presets import PRESETS

    machine = detect()
    rows: dict[str, Workload] = {}
    for target in targets or list(PRESETS):
        if networks.is_known(target):
            model, images = _network(target, data, size)
            rows[target] = Workload(
                model,
                **images,
                batch_size=batch_size,
                precision="bf16" if machine.bf16 else "fp32",
                optimizer="sgd",
                device=machine.device,
            )
            with _priced(target, images):
                _ = rows[target].costs
        else:
            file = _study(target, networks.names())
            if data is not None or size is not None:
                raise UserError(
                    f"--data and --size are for networks; the study {file.spec.study} says what its images are"
                )
            name, _ = _choose_profile(file, profile, machine)
            planned = _plan(file, name, machine)
            # Several studies may each have a variant of the same name.
            prefix = f"{file.spec.study}." if len(targets or ()) > 1 else ""
            rows.update({prefix + variant.name: planned.workload(variant.name) for variant in planned.variants})
    measured = _measure(rows.values(), machine) if measure else {}
    if as_json:
        print(json.dumps({name: _costs_json(each, measured.get(each.id)) for name, each in rows.items()}, indent=2))
        return
    from ablations.terminal.printing import print_costs

    print_costs(rows, measured, _console())


@app.command()
def summary(
    network: Annotated[str, typer.Argument(help="A network by name; `costs` lists the presets.")],
    data: ImagesOption = None,
    size: SizeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show a network layer by layer.

    Output shape, params, MACs, bytes of the output.
    """
    from ablations import networks
    from ablations.text import nearest, shown

    if not networks.is_known(network):
        raise UserError(f"no network {shown(network)}; {nearest(network, networks.names())}")
    model, images = _network(network, data, size)
    with _priced(network, images):
        rows = networks.layer_table(model, **images)
    if as_json:
        print(json.dumps([asdict(row) for row in rows], indent=2))
        return
    from ablations.terminal.printing import print_layers

    print_layers(network, images, rows, _console())


@app.command()
def doctor(
    tracking_uri: UriOption = None, data_dir: DataOption = Path("data"), output: OutputOption = Path("reports")
) -> None:
    """Say what stands in the way of a run on this machine.

    And what to do about it. Trains and downloads nothing.
    """
    from ablations.doctor import examine

    problems = 0
    for finding in examine(data_dir, tracking_uri, output):
        problems += finding.level == "problem"
        print(
            f"{finding.level:8} {finding.text}",
            *([finding.remedy] if finding.remedy else []),
            sep=f"\n{'':9}",
            flush=True,
        )
    if problems:
        _fail(f"{problems} of these must be put right before a study can run", WRONG_INPUT)
    print("a study can run: python -m ablations run one_by_one --profile starter")


@app.command()
def ui(
    study: Annotated[
        str | None, typer.Argument(help="Study whose page to name: a file, or a name; default: none.")
    ] = None,
    profile: RecordedProfileOption = None,
    tracking_uri: UriOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's pages, and say where a study is in them.

    They are of the store of this folder, and for this machine only.
    """
    from ablations.errors import TrackingError
    from ablations.tracking.layout import default_uri
    from ablations.tracking.store import shown_uri

    uri = tracking_uri or default_uri()
    page = ""
    if study is not None:
        from ablations.tracking.reader import study_page

        try:
            page = study_page(uri, *_recorded(uri, study, profile))
        except TrackingError as error:
            raise _of_store(error) from error
    if uri.startswith(("http://", "https://")):
        print(f"{shown_uri(uri).rstrip('/')}/{page}")
        return
    with socket.socket() as tried:
        # As the server will: a port that one has just left is free.
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind(("127.0.0.1", port))
        except OSError as error:
            raise UserError(f"port {port} cannot be used: {error.strerror}. Give another one with --port.") from error
    command = [sys.executable, "-m", "mlflow", "ui", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    environ = {
        **os.environ,
        # Not on the command line, where every user of the machine could read its password.
        "MLFLOW_BACKEND_STORE_URI": uri,
        # Sixteen processes more, for what the suite has no use for.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    print(f"MLflow at http://127.0.0.1:{port}/{page} (Ctrl-C ends it)", flush=True)
    raise typer.Exit(subprocess.run(command, env=environ).returncode)


def _network(name: str, data: str | None, size: int | None) -> tuple[Model, Input]:
    """A network by its name, and the images to price it for."""
    from ablations import networks
    from ablations.costs import images_for
    from ablations.datasets import DATASETS
    from ablations.errors import RegistrationError
    from ablations.text import nearest, shown
    from nin.config import ConfigError

    try:
        return networks.configure(name, {}), images_for(name, data, size)
    except ConfigError as error:
        raise UserError(f"{error.message}.") from error
    except RegistrationError as error:
        raise UserError(f"--data {data}: {error}.") from error
    except KeyError:
        raise UserError(f"--data: no data set {shown(data)}; {nearest(data or '', DATASETS)}") from None


@contextmanager
def _priced(network: str, images: Input) -> Iterator[None]:
    """Say for which images a network was to be priced, where it cannot be."""
    from nin.config import ConfigError

    try:
        yield
    except ConfigError as error:
        shape = f"{images['in_channels']}x{images['size']}x{images['size']}"
        raise UserError(
            f"{network} cannot be priced for {shape} images and {images['num_classes']} classes: {error.message}. Give others "
            "with --data and --size."
        ) from error


def _study(name: str, also_known: Iterable[str] = ()) -> StudyFile:
    """A study by its file or name; `also_known` are names of other things that stand in its place."""
    from ablations.studyfile.loading import find, read_file

    return read_file(find(name, also_known))


def _plan(file: StudyFile, profile: str, machine: Machine, *, extend: bool = False) -> Plan:
    from ablations.errors import SpecError
    from ablations.planning.planner import make_plan

    try:
        return make_plan(file.spec, profile, machine, extend=extend)
    except SpecError as error:
        raise file.located(error) from error


def _of_store(error: TrackingError) -> UserError:
    """What to say of a store's failure; that it is away for now is no wrong input."""
    from ablations.errors import StoreAwayError

    if isinstance(error, StoreAwayError):
        return UserError(f"{error}. Try again later, or name another store with --tracking-uri.", FAILED)
    return UserError(str(error))


def _connect(address: str) -> Cluster:
    """A Ray cluster by its address."""
    from ablations import session
    from ablations.errors import SetupError

    try:
        return session.connect(address)
    except SetupError as error:
        raise UserError(f"--cluster {address}: {error}") from error


def _choose_profile(file: StudyFile, profile: str | None, machine: Machine) -> tuple[str, str]:
    """The profile, and why it is that one."""
    profiles = file.spec.profiles
    if profile is not None:
        return profile, "asked for"
    wanted, why = (
        ("book", "a CUDA device is here") if machine.device == "cuda" else ("starter", "no CUDA device is here")
    )
    if wanted in profiles:
        return wanted, why
    if len(profiles) == 1:
        return next(iter(profiles)), "the only one"
    raise UserError(f"{file.path} has no profile {wanted!r}; choose one with --profile: {', '.join(profiles)}")


def _recorded(uri: str, study: str, profile: str | None) -> tuple[str, str]:
    """Name and profile of a recorded study."""
    from ablations.tracking.reader import recorded_studies

    recorded = recorded_studies(uri)
    name = _study_name(study, recorded)
    profiles = [each for found, each in recorded if found == name and profile in {None, each}]
    if not profiles:
        raise UserError(_not_recorded(uri, [study], profile, recorded))
    if len(profiles) > 1:
        raise UserError(f"{name} is recorded at several profiles; choose one with --profile: {', '.join(profiles)}")
    return name, profiles[0]


def _study_name(study: str, recorded: list[tuple[str, str]]) -> str:
    """Name of a study; a file is looked into only where `study` is its path, or no recorded name."""
    from ablations.errors import StudyFileError
    from ablations.studyfile.loading import find, read_file

    if study.endswith((".yaml", ".yml")):
        return _study(study).spec.study
    if study not in {name for name, _ in recorded}:
        # `run` takes a file's name, too, and records under the name in it.
        with suppress(StudyFileError):
            return read_file(find(study)).spec.study
    return study


def _may_run_elsewhere(uri: str, stored: StoredProgress) -> bool:
    """Whether another machine may run a study that none here holds."""
    from ablations.tracking.layout import database

    # Whoever runs a study whose store is a file here has its lock.
    return stored.state == "RUNNING" and database(uri) is None


def _status_of_all(uri: str, profile: str | None) -> None:
    """A line for each recorded study; one that cannot be read stops no other."""
    from ablations.errors import StoreAwayError, TrackingError
    from ablations.terminal.grid import total
    from ablations.tracking.lock import held_by
    from ablations.tracking.reader import read_progress

    try:
        recorded = _all_recorded(uri, [], profile)
    except TrackingError as error:
        raise _of_store(error) from error
    reasons = []
    for name, at in recorded:
        try:
            stored = read_progress(uri, name, at)
        except StoreAwayError as error:
            raise _of_store(error) from error
        except TrackingError as error:
            reasons.append(f"no status of {name} at profile {at}: {error}")
            continue
        state = ""
        if held_by(uri, name, at):
            state = "runs"
        elif _may_run_elsewhere(uri, stored):
            state = f"may run elsewhere, last heard of {in_words(time.time() - stored.heard_ms / 1000)} ago"
        else:
            stored.progress.stopped()
        print(", ".join(filter(None, (f"{name}, profile {at}: {total(stored.progress)}", state))))
    if len(reasons) == len(recorded):
        raise UserError("\n".join(reasons))
    for reason in reasons:
        _say(f"warning: {reason}")


def _goes_on(study: str, stored: StoredProgress, at: str) -> str:
    """The command that goes on with a recorded study: of what was typed, or the recorded one where that finds no file here."""
    from ablations.errors import StudyFileError
    from ablations.studyfile.loading import find

    try:
        find(study)
    except StudyFileError:
        # From Python it was a call, and an edited one may be no command at all.
        with suppress(ValueError):
            words = shlex.split(stored.command or "")
            if words[:4] == ["python", "-m", "ablations", "run"]:
                # Joined anew: it is one command, whatever the store says.
                return printable(shlex.join(words))
    return f"python -m ablations run {shlex.quote(study)} {at}"


def _all_recorded(uri: str, studies: list[str], profile: str | None) -> list[tuple[str, str]]:
    """Names and profiles of the named studies, or of all in the store; at `profile`, or at all that are recorded."""
    from ablations.tracking.reader import recorded_studies

    recorded = recorded_studies(uri)
    at_profile = [each for each in recorded if profile in {None, each[1]}]
    held = {name for name, _ in at_profile}
    names = {_study_name(study, recorded): study for study in studies} if studies else dict.fromkeys(sorted(held), "")
    lacking = [study for name, study in names.items() if name not in held]
    if lacking or not names:
        raise UserError(_not_recorded(uri, lacking, profile, recorded))
    return [each for name in names for each in at_profile if each[0] == name]


def _not_recorded(uri: str, studies: list[str], profile: str | None, recorded: list[tuple[str, str]]) -> str:
    """What to say of studies, as they were typed, that are not among the recorded ones; of none, if it holds nothing."""
    from ablations.errors import StudyFileError
    from ablations.studyfile.loading import find
    from ablations.text import nearest, shown
    from ablations.tracking.layout import database
    from ablations.tracking.store import shown_uri

    try:
        is_file = bool(studies and find(studies[0]))
    except StudyFileError:
        is_file = False
    file = database(uri)
    if file is not None and not file.exists():
        return (
            f"no MLflow store is at {file}: nothing was run here yet. Go to the folder in which studies were run, or name its "
            "store: --tracking-uri sqlite:////FOLDER/mlflow.db. Or run one here: python -m ablations run "
            + shlex.quote(studies[0] if is_file else "one_by_one")
        )
    at = f" at profile {shown(profile)}" if profile else ""
    if not studies:
        return f"{shown_uri(uri)} holds no study{at}. Run one first: python -m ablations run one_by_one"
    names = [_study_name(study, recorded) for study in studies]
    lacks = f"{shown_uri(uri)} holds no study {', '.join(map(shown, names))}{at}"
    others = [each for name, each in recorded if name == names[0]]
    held = sorted({name for name, _ in recorded})
    hint = f"; recorded at {', '.join(others)}." if others else f"; {nearest(names[0], held)}" if held else "."
    if not is_file:
        return f"{lacks}{hint} No study file has this name, either; give the path of one to run it."
    command = shlex.join(["python", "-m", "ablations", "run", studies[0], *(["--profile", profile] if profile else [])])
    return f"{lacks}{hint} Run it first: {command}"


def _report_all(uri: str, wanted: list[tuple[str, str]], output: Path, *, named: bool) -> None:
    """Write the reports and, where they are several, their index; studies that cannot be read are named there."""
    from ablations.errors import TrackingError
    from ablations.reporting.index import Unreadable, write_index

    summaries, unreadable = [], []
    created = _now()
    for study, profile in wanted:
        try:
            summary = _summary(uri, study, profile)
        except TrackingError as error:
            unreadable.append(Unreadable(study, profile, str(error)))
            continue
        summaries.append(summary)
        print(f"report: {_write(uri, summary, output / study / profile, created)}", flush=True)
    if len(wanted) > 1:
        try:
            print(f"index: {write_index(summaries, unreadable, output, created)}")
        except OSError as error:
            raise UserError(
                f"the index cannot be written to {output}: {error.strerror}. Name another folder with --output."
            ) from error
    reasons = [f"no report of {each.study} at profile {each.profile}: {each.reason}" for each in unreadable]
    if reasons and (named or not summaries):
        raise UserError("\n".join(reasons))
    for reason in reasons:
        _say(f"warning: {reason}")


def _report(uri: str, study: str, profile: str, output: Path) -> Path:
    return _write(uri, _summary(uri, study, profile), output / study / profile, _now())


def _summary(uri: str, study: str, profile: str) -> StudySummary:
    from ablations.session import look

    _warn_of_waiting(uri, study, profile)
    return look(uri, study, profile)


def _warn_of_waiting(uri: str, study: str, profile: str) -> None:
    from ablations.tracking.spool import num_waiting

    waiting = num_waiting(uri, study, profile)
    if waiting:
        sync_all = f"python -m ablations sync{_uri_option(uri)}"
        _say(f"warning: {plural(waiting, 'record')} of {study} not in MLflow yet. Write them with: {sync_all}")


def _write(uri: str, summary: StudySummary, folder: Path, created: str) -> Path:
    """Write the report, and show it in MLflow; the page."""
    from ablations.errors import TrackingError
    from ablations.reporting.render import description, write_report
    from ablations.tracking.publish import publish

    try:
        page = write_report(summary, folder, created=created)
    except OSError as error:
        raise UserError(
            f"the report cannot be written to {folder}: {error.strerror}. What is recorded is kept; name another folder with "
            "--output."
        ) from error
    try:
        publish(uri, summary, description(summary), folder)
    except TrackingError as error:
        _say(f"warning: {error}; the report is in {folder}, and not in MLflow")
    return page


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _measure(workloads: Iterable[Workload], machine: Machine) -> dict[str, Measurement]:
    """What was measured, by the workload's id; what could not be is warned of."""
    from ablations.errors import MeasureError, SetupError
    from ablations.execution.local import LocalExecutor

    distinct = {workload.id: workload for workload in workloads}
    measured = {}
    executor = LocalExecutor(machine, Path("data"), Path(".ablations") / "checkpoints")
    try:
        for number, (key, workload) in enumerate(distinct.items(), start=1):
            _say(f"measuring architecture {number} of {len(distinct)}")
            try:
                measured[key] = executor.measure(workload)
            except MeasureError as error:
                _say(f"warning: architecture {number} could not be measured: {error}")
    except SetupError as error:
        raise UserError(str(error)) from error
    finally:
        executor.close()
    return measured


def _costs_json(workload: Workload, measured: Measurement | None) -> dict[str, Any]:
    return {
        "in_channels": workload.in_channels,
        "size": workload.size,
        "num_classes": workload.num_classes,
        "params": workload.costs.params,
        "macs": workload.costs.macs,
        "flops": workload.costs.flops,
        "batch_size": workload.batch_size,
        "precision": workload.precision,
        "optimizer": workload.optimizer,
        "device": workload.device,
        "memory": None if workload.memory is None else asdict(workload.memory),
        "measured": None if measured is None else asdict(measured),
    }


def _plan_json(planned: Plan, measured: Mapping[str, Measurement]) -> dict[str, Any]:
    from ablations.planning.resolution import resolution

    found = resolution(planned)
    return {
        "study": planned.study,
        "profile": planned.profile,
        "baseline": planned.baseline,
        "num_trials": len(planned.cells),
        "resolution": None if found is None else asdict(found),
        "variants": {
            variant.name: {
                **_costs_json(planned.workload(variant.name), measured.get(planned.workload(variant.name).id)),
                "changes": variant.changes,
                "config": variant.config.to_json(),
            }
            for variant in planned.variants
        },
        "trials": [
            {"phase": cell.phase, "variant": cell.variant, "seed": cell.seed, "number": cell.number}
            for cell in planned.cells
        ],
    }


def _display(plan: Plan, machine: Machine, *, quiet: bool, json_lines: bool) -> QuietProgress:
    """What shows a run: a grid on a terminal with somebody before it, else lines."""
    from rich.console import Console

    from ablations.terminal.displays import JsonProgress, LiveProgress, PlainProgress, QuietProgress

    console = _console()
    if json_lines:
        return JsonProgress(plan, machine.num_workers, console)
    if quiet:
        return QuietProgress(
            plan, machine.num_workers, Console(stderr=True, markup=False, emoji=False, highlight=False)
        )
    # A colour that is forced on a file makes it no terminal.
    watched = console.is_interactive and sys.stdout.isatty() and os.environ.get("CI", "false") in {"", "0", "false"}
    return (LiveProgress if watched else PlainProgress)(plan, machine.num_workers, console)


def _unsaid(text: str) -> None:
    """Say nothing."""


def _exit_code(ran: Ran) -> int:
    if ran.outcome.state == "interrupted":
        return INTERRUPTED
    if ran.outcome.state == "budget":
        return STOPPED
    return FAILED if ran.waiting or ran.outcome.given_up else DONE


def _command(file: StudyFile, profile: str, options: Mapping[str, str | None]) -> str:
    """The command that goes on with a run; `options` are those that were given, None for a flag's value."""
    words = ["python", "-m", "ablations", "run", str(file.path), "--profile", profile]
    for name, value in options.items():
        words += [name] if value is None else [name, value]
    return shlex.join(words)


def _given(
    tracking_uri: str | None, data_dir: Path, output: Path, extend: bool, cluster: str | None
) -> dict[str, str | None]:
    """The options that decide where a run goes on, as far as they were given."""
    from ablations.tracking.store import shown_uri

    options: dict[str, str | None] = {}
    if tracking_uri is not None:
        options["--tracking-uri"] = shown_uri(tracking_uri)
    if data_dir != Path("data"):
        options["--data-dir"] = str(data_dir)
    if output != Path("reports"):
        options["--output"] = str(output)
    if cluster is not None:
        options["--cluster"] = cluster
    return options | ({"--extend": None} if extend else {})


def _uri_option(uri: str | None) -> str:
    """The option that names a store in a command, where it is not the one of this folder."""
    from ablations.tracking.store import shown_uri

    here = f"sqlite:///{Path.cwd() / 'mlflow.db'}"
    return "" if uri in {None, here} else f" --tracking-uri {shlex.quote(shown_uri(uri or ''))}"


def _console() -> Console:
    from rich.console import Console

    # What studies say is text: "[x]" is no style and ":x:" no picture.
    return Console(markup=False, emoji=False, highlight=False)
