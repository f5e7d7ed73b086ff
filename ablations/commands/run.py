"""`run`: train the missing trials, record them, write the report."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ablations import session
from ablations.analysis.next_step import next_step
from ablations.commands.messages import DONE, INTERRUPTED, STOPPED, fail, warn
from ablations.commands.studies import choose_profile, open_study, recorded_ledgers, warn_if_long, warn_of_lost_words
from ablations.doctor import existing_part
from ablations.errors import FAILED, SetupError, UserError
from ablations.execution import environment
from ablations.execution.dry import DryExecutor
from ablations.planning.checking import plan_study
from ablations.terminal.answers import answer_lines
from ablations.terminal.consoles import plain_console, print_prose
from ablations.terminal.displays import JsonProgress, LiveProgress, PlainProgress, QuietProgress
from ablations.terminal.printing import headline
from ablations.text import plural, timestamp
from ablations.tracking.store import Address, Store

if TYPE_CHECKING:
    from ablations.execution.cluster import Cluster
    from ablations.planning.plan import Plan
    from ablations.ports import Executor
    from ablations.session import Ran
    from ablations.trial import Machine


@dataclass(frozen=True)
class RunOptions:
    """The options of `run`, as they were given.

    Raises:
        UserError: two of them exclude each other.
    """

    study: str
    profile: str | None
    # It may hold a password.
    tracking_uri: str | None = field(repr=False)
    data_dir: Path
    output: Path
    futility: bool
    max_minutes: float | None
    dry_run: bool
    retry: bool
    log_models: bool
    quiet: bool
    json_lines: bool
    cluster: str | None

    def __post_init__(self) -> None:
        """Refuse options that exclude each other."""
        for both, names in (
            (self.quiet and self.json_lines, "--quiet and --json-lines"),
            (self.dry_run and self.cluster is not None, "--dry-run and --cluster"),
            (self.log_models and self.cluster is not None, "--log-models and --cluster"),
            # A dry run trains no networks, and would take queued weights of the user's store for its own.
            (self.dry_run and self.log_models, "--dry-run and --log-models"),
        ):
            if both:
                raise UserError(f"{names} exclude each other: leave one of them out")

    def command(self, profile: str, *more: str) -> str:
        """The command to continue this run, with the study as it was typed.

        Args:
            profile: of the run.
            more: flags to add.
        """
        words = ["python", "-m", "ablations", "run", self.study, "--profile", profile]
        if self.tracking_uri is not None:
            words += ["--tracking-uri", str(Store(self.tracking_uri))]
        if self.data_dir != Path("data"):
            words += ["--data-dir", str(self.data_dir)]
        if self.output != Path("reports"):
            words += ["--output", str(self.output)]
        if self.cluster is not None:
            words += ["--cluster", self.cluster]
        flags = {"--no-futility": not self.futility, "--log-models": self.log_models, "--dry-run": self.dry_run}
        return shlex.join([*words, *dict.fromkeys([*(flag for flag, given in flags.items() if given), *more])])


@dataclass(frozen=True)
class _Prepared:
    """A run, decided before its first trial."""

    options: RunOptions
    text: str
    plan: Plan
    machine: Machine
    nodes: Cluster | None
    store: Store
    output: Path
    display: QuietProgress

    @property
    def address(self) -> Address:
        return Address(self.plan.study, self.plan.profile, self.store)

    def command(self, *more: str) -> str:
        """The command to continue this run, with flags added."""
        return self.options.command(self.plan.profile, *more)

    def say(self, text: str) -> None:
        """Print a line for people, if they are to see any."""
        if not (self.options.quiet or self.options.json_lines):
            print(text)


def run(options: RunOptions) -> int:
    """Run a study.

    Returns:
        Exit code.

    Raises:
        AblationsError: it cannot be run; all records are kept.
    """
    started = time.monotonic()
    prepared = _prepare(options)
    again, kept = prepared.command(), "all records and checkpoints are kept"
    if isinstance(prepared.display, JsonProgress):
        prepared.display.planned()
    try:
        ran = _train(prepared, started)
        page = _write_report(prepared, ran)
    except KeyboardInterrupt:
        fail(f"interrupted; {kept}. Continue with: {again}", INTERRUPTED)
    except OSError as error:
        where = error.filename or "the output"
        fail(f"{where}: {error.strerror}; {kept}. Fix this, then continue with: {again}", FAILED)
    exit_code = _exit_code(ran)
    _tell(prepared, ran, page, exit_code)
    last = "\n".join(_what_next(prepared, ran))
    if exit_code == STOPPED:
        prepared.say(last)
    elif exit_code != DONE:
        fail(last, exit_code)
    return exit_code


def _prepare(options: RunOptions) -> _Prepared:
    """Decide everything before training, and print the plan in one line."""
    file = open_study(options.study)
    if not (options.dry_run or file.is_kept):
        raise UserError(
            f"{file.path} can be read only once, and a run must find its study again to continue. Save the study to a file; "
            "check, plan and run --dry-run take it as it is."
        )
    nodes = None if options.cluster is None else _connect(options.cluster)
    machine = nodes.machine if nodes else environment.detect()
    profile, why = choose_profile(file, options.profile, machine)
    planned = plan_study(file, profile, machine)
    output = options.output
    display = display_for(planned, machine, quiet=options.quiet, json_lines=options.json_lines)
    if options.dry_run:
        # Never the user's store; and nobody may take the report for a real one.
        output = Path(tempfile.mkdtemp(prefix="ablations-dry-run-"))
        store = Store.in_folder(output)
        planned = replace(planned, question=f"{planned.question} (A dry run: every number is made up.)")
    else:
        store = Store.at(options.tracking_uri)
    prepared = _Prepared(options, file.text, planned, machine, nodes, store, output, display)
    if not (options.quiet or options.json_lines):
        print_prose(headline(planned, machine, why), plain_console())
    _require_writable(output / planned.study / profile)
    if not options.dry_run:
        warn_of_lost_words([planned], recorded_ledgers(planned.study, profile, store))
        warn_if_long(options.command, file, planned, machine)
    return prepared


def _require_writable(folder: Path) -> None:
    """Refuse a folder of reports before training rather than after it."""
    there, usable = existing_part(folder)
    # If the working folder takes no files either, its checkpoints say so.
    if not usable and existing_part(Path())[1]:
        raise UserError(f"the report cannot be written: {there} is no writable folder. Name another with --output.")


def _train(prepared: _Prepared, started: float) -> Ran:
    options, nodes = prepared.options, prepared.nodes
    weights_dir = prepared.address.weights_folder if options.log_models else None
    executor: Executor
    if options.dry_run:
        executor = DryExecutor(prepared.machine.num_workers)
    elif nodes:
        executor = session.cluster_executor(nodes, options.data_dir, prepared.display)
    else:
        executor = session.local_executor(prepared.machine, options.data_dir, prepared.display, weights_dir=weights_dir)
    request = session.RunRequest(
        prepared.plan,
        prepared.text,
        prepared.store,
        prepared.command(),
        deadline=None if options.max_minutes is None else started + 60 * options.max_minutes,
        weights_dir=weights_dir,
        futility=options.futility,
        is_warned=not options.dry_run,
        retry=options.retry,
        elsewhere={"processor": ", ".join(nodes.processors)} if nodes else {},
    )
    # The display holds its own stream. The rest is prints of networks, of which `log_models` runs some here.
    with redirect_stdout(sys.stderr):
        return session.run(request, executor, prepared.display)


def _write_report(prepared: _Prepared, ran: Ran) -> Path | None:
    """The page of the report; None while records are queued."""
    if ran.summary is None:
        return None
    from ablations.commands.report import folder_of, index, write

    page = write(prepared.store, ran.summary, folder_of(prepared.output, prepared.address), timestamp())
    index(prepared.output, [], timestamp())
    return page


def _tell(prepared: _Prepared, ran: Ran, page: Path | None, exit_code: int) -> None:
    """Print the outcome, and warn of failures."""
    plan, outcome = prepared.plan, ran.outcome
    prepared.say(f"trained {plural(outcome.num_trained, 'trial')}, found {outcome.num_found} done before")
    answer = [] if ran.summary is None else list(answer_lines(ran.summary))
    for line in answer:
        prepared.say(line)
    if page is not None:
        prepared.say(f"report: {page}")
    prepared.say(f"MLflow: python -m ablations ui {plan.study} --profile {plan.profile}{prepared.store.option}")
    if isinstance(prepared.display, JsonProgress):
        from ablations.reporting.answer import answer as answer_of

        prepared.display.tell(
            "done",
            exit_code=exit_code,
            **asdict(outcome),
            answer=None if ran.summary is None else answer_of(ran.summary),
            report=page and str(page),
            waiting=ran.waiting,
            command=prepared.command(),
        )
    for missing in outcome.unmeasured:
        warn(f"memory and speed could not be measured: {missing}")
    for failure in outcome.given_up:
        warn(failure)
    # Made-up numbers need no seeds.
    is_real = exit_code == DONE and not prepared.options.dry_run
    if is_real and ran.summary is not None and (step := next_step(ran.summary)):
        prepared.say(step.text)


def _what_next(prepared: _Prepared, ran: Ran) -> Iterator[str]:
    """The last lines of an unfinished run: the reason, and the command to paste."""
    plan, outcome, store = prepared.plan, ran.outcome, prepared.store.option
    if outcome.state == "interrupted":
        yield f"interrupted; all records are kept. Continue with: {prepared.command()}"
    elif outcome.state == "budget":
        yield f"stopped by --max-minutes; all records are kept. Continue with: {prepared.command()}"
    if ran.waiting:
        yield (
            f"{(ran.trouble or '').rstrip('.')}. Nothing is lost: {ran.waiting} are queued. Send them with: python -m ablations "
            f"sync{store}\nand then write the report with: python -m ablations report {plan.study} --profile {plan.profile}{store}"
        )
    if outcome.given_up:
        num_failed = plural(len(outcome.given_up), "trial")
        were = "was" if len(outcome.given_up) == 1 else "were"
        yield f"{num_failed} failed and {were} given up. Retry with: {prepared.command('--retry')}"


def _exit_code(ran: Ran) -> int:
    if ran.outcome.state == "interrupted":
        return INTERRUPTED
    if ran.outcome.state == "budget":
        return STOPPED
    return FAILED if ran.waiting or ran.outcome.given_up else DONE


def display_for(plan: Plan, machine: Machine, *, quiet: bool, json_lines: bool) -> QuietProgress:
    """The display of a run: a grid on a terminal with somebody before it, else lines."""
    console = plain_console(stderr=quiet)
    if json_lines:
        return JsonProgress(plan, machine.num_workers, console)
    if quiet:
        return QuietProgress(plan, machine.num_workers, console)
    # A file is no terminal, also if colour is forced on it.
    watched = console.is_interactive and sys.stdout.isatty() and os.environ.get("CI", "false") in {"", "0", "false"}
    return (LiveProgress if watched else PlainProgress)(plan, machine.num_workers, console)


def _connect(address: str) -> Cluster:
    try:
        return session.connect(address)
    except SetupError as error:
        raise UserError(f"--cluster {address}: {error}") from error
