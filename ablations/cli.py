"""The command line: arguments, help, exit codes. Each command is one call, and loads nothing heavy before it is needed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ablations.commands.messages import INTERRUPTED, fail
from ablations.errors import FAILED, AblationsError
from ablations.paths import expanded

if TYPE_CHECKING:
    from ablations.tracking.store import Store

app = typer.Typer(
    help="Ablation studies of Network-in-Network CNNs: from a YAML file to an honest comparison report.",
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _named(incomplete: str) -> list[str]:
    """Names of studies, for a shell that completes them; files it completes itself."""
    from ablations.studyfile.loading import shipped_studies

    return [file.stem for file in shipped_studies() if file.stem.startswith(incomplete)]


def _expanded(path: Path) -> Path:
    return expanded(path)


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
    str | None, typer.Option("--profile", "-p", help="Profile of the study; needed if it is recorded at several.")
]
OutputOption = Annotated[Path, typer.Option(help="Folder of the reports.", callback=_expanded)]
DataOption = Annotated[
    Path, typer.Option(help="Folder of the data sets.", envvar="ABLATIONS_DATA", show_envvar=True, callback=_expanded)
]
NoFutilityOption = Annotated[
    bool,
    typer.Option("--no-futility", help="Also fetch seeds for comparisons with less than a 10 % chance of a word."),
]
MeasureOption = Annotated[
    bool, typer.Option("--measure", help="Also measure memory, speed and latency here; a few seconds per network.")
]
ImagesOption = Annotated[
    str | None,
    typer.Option(
        "--data",
        help="Data set to price networks for; default: the preset's own, for others fashion_mnist.",
    ),
]
SizeOption = Annotated[int | None, typer.Option(min=1, help="Side of the images in pixels; default: the data set's.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for other programs.")]


def main() -> None:
    """Run the command line; every error that a user can cause ends in a message and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A question may have letters that the terminal's encoding lacks.
            stream.reconfigure(errors="backslashreplace")
    # A shell completes commands of one word. `python -m ablations` has three; the script `ablations` does the same.
    completion = {"--install-completion", "--show-completion"} & set(sys.argv[1:2])
    try:
        app(prog_name="ablations" if completion else None)
    except AblationsError as error:
        fail(f"{error}. {error.advice}" if error.advice else str(error), error.exit_code)
    except KeyboardInterrupt:
        fail("interrupted", INTERRUPTED)
    except OSError as error:
        fail(f"{error.filename or 'the output'}: {error.strerror}", FAILED)


def _print_version(wanted: bool) -> None:
    if wanted:
        import ablations

        print(f"ablations {ablations.__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


def _store(tracking_uri: str | None) -> Store:
    from ablations.tracking.store import Store

    return Store.at(tracking_uri)


@app.command()
def check(
    studies: Annotated[list[str] | None, typer.Argument(help="Study files or names; default: all that ship.")] = None,
) -> None:
    """Check study files: every key, variant and profile. Trains nothing."""
    from ablations.commands import check

    check.check(studies or [])


@app.command()
def init(
    path: Annotated[
        Path,
        typer.Argument(help="File to write, such as my_study.yaml; its name becomes the study's.", callback=_expanded),
    ],
    source: Annotated[
        str | None, typer.Option("--from", help="Study to copy: a file, or the name of one that ships with the suite.")
    ] = None,
) -> None:
    """Write a study to start from.

    The schema for editors is written beside it.
    """
    from ablations.commands import init

    init.init(path, source)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the study file, for editors.

    Keep it beside the studies, as study.schema.json.
    """
    import json

    from ablations.studyfile.schema import study_schema

    print(json.dumps(study_schema(), indent=1))


@app.command()
def plan(
    study: StudyArgument,
    profile: ProfileOption = None,
    measure: MeasureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Show the trainings of a run, and their cost. Trains nothing."""
    from ablations.commands import plan

    plan.plan(study, profile, measured=measure, as_json=as_json)


@app.command()
def run(
    study: StudyArgument,
    profile: ProfileOption = None,
    tracking_uri: UriOption = None,
    data_dir: DataOption = Path("data"),
    output: OutputOption = Path("reports"),
    no_futility: NoFutilityOption = False,
    max_minutes: Annotated[
        float | None,
        typer.Option(min=0, help="Stop after this time, between epochs; the same command continues later."),
    ] = None,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Do all but the training: made-up numbers, store and report in a new folder."),
    ] = False,
    retry: Annotated[
        bool, typer.Option("--retry", help="Retry trials that were given up after three failed attempts.")
    ] = False,
    log_models: Annotated[
        bool, typer.Option("--log-models", help="Also record the networks of this run's confirmation trials.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only warnings and errors.")] = False,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Print a JSON object per event, for other programs.")
    ] = False,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Train on a Ray cluster: auto for the cluster of this machine, else HOST:PORT; local starts one here.",
        ),
    ] = None,
) -> None:
    """Train the missing trials, log them to MLflow, write the report."""
    from ablations.commands.run import RunOptions
    from ablations.commands.run import run as run_study

    options = RunOptions(
        study=study,
        profile=profile,
        tracking_uri=tracking_uri,
        data_dir=data_dir,
        output=output,
        futility=not no_futility,
        max_minutes=max_minutes,
        dry_run=dry_run,
        retry=retry,
        log_models=log_models,
        quiet=quiet,
        json_lines=json_lines,
        cluster=cluster,
    )
    raise typer.Exit(run_study(options))


@app.command()
def sync(tracking_uri: UriOption = None) -> None:
    """Send queued records to MLflow.

    Records are queued on this machine while a store does not answer.
    """
    from ablations.commands import sync

    sync.sync(_store(tracking_uri))


@app.command()
def status(
    study: Annotated[
        str | None,
        typer.Argument(
            help="Study in the store: its name, or its file; default: a line per study.", autocompletion=_named
        ),
    ] = None,
    profile: RecordedProfileOption = None,
    tracking_uri: UriOption = None,
) -> None:
    """Show how far a study is, whoever runs it.

    Finished trials, and running ones since when, from the tracking store.
    """
    from ablations.commands import status

    if study is None:
        status.status_of_all(_store(tracking_uri), profile)
    else:
        status.status(_store(tracking_uri), study, profile)


@app.command()
def report(
    studies: Annotated[
        list[str] | None, typer.Argument(help="Study files or names; default: all studies in the store.")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option("--profile", "-p", help="Only this one; needed for one study that is recorded at several."),
    ] = None,
    tracking_uri: UriOption = None,
    output: OutputOption = Path("reports"),
) -> None:
    """Write reports again, from the tracking store alone. Trains nothing and needs no study file.

    Several studies are reported at all their profiles. index.html in the folder of the reports leads to each. A study that
    cannot be read stops no other.
    """
    from ablations.commands import report

    report.report(_store(tracking_uri), studies or [], profile, output)


@app.command()
def export(
    study: RecordedArgument,
    profile: RecordedProfileOption = None,
    tracking_uri: UriOption = None,
    output: Annotated[Path, typer.Option(help="Folder of the exports.", callback=_expanded)] = Path("exports"),
) -> None:
    """Write a study's trials as CSV and Parquet.

    If it was tuned, also its search, as a database for optuna-dashboard. All of it comes from the tracking store.
    """
    from ablations.commands import export

    export.export(_store(tracking_uri), study, profile, output)


@app.command()
def costs(
    targets: Annotated[
        list[str] | None, typer.Argument(help="Networks, study files or study names; default: every preset.")
    ] = None,
    profile: ProfileOption = None,
    batch_size: Annotated[
        int, typer.Option(min=1, help="Batch size for the memory of networks; a study has its own.")
    ] = 128,
    data: ImagesOption = None,
    size: SizeOption = None,
    measure: MeasureOption = False,
    as_json: JsonOption = False,
) -> None:
    """Count params, MACs, FLOPs and memory of networks.

    Of presets, of networks that packages register, or of a study's variants; in closed form where there is one.
    """
    from ablations.commands import costs

    costs.costs(
        targets or [],
        profile,
        costs.Images(data, size),
        batch_size=batch_size,
        measured=measure,
        as_json=as_json,
    )


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
    from ablations.commands import costs

    costs.summary(network, costs.Images(data, size), as_json=as_json)


@app.command()
def doctor(
    tracking_uri: UriOption = None, data_dir: DataOption = Path("data"), output: OutputOption = Path("reports")
) -> None:
    """Check this machine for problems that would stop a run.

    Each comes with its remedy. Trains and downloads nothing.
    """
    from ablations.commands import doctor

    doctor.doctor(_store(tracking_uri), data_dir, output)


@app.command()
def ui(
    study: Annotated[
        str | None, typer.Argument(help="Study to print the page of: a file, or a name; default: none.")
    ] = None,
    profile: RecordedProfileOption = None,
    tracking_uri: UriOption = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's pages, and print the address of a study's page.

    They show the store of this folder, on this machine only.
    """
    from ablations.commands import ui

    raise typer.Exit(ui.ui(_store(tracking_uri), study, profile, port))
