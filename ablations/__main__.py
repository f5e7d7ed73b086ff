"""`python -m ablations`."""

# pathlib would load modules before `_look_past_this_folder`.
# ruff: noqa: PTH100, PTH109, PTH120
import atexit
import gc
import io
import os
import sys


def main() -> None:
    """Run the command line in a process of its own."""
    # Starting up makes a hundred thousand objects and hardly any garbage. Collecting it again and again, and once more at the
    # end of the process, took a fifth of `check`.
    gc.set_threshold(100_000)
    atexit.register(_leave_garbage)
    _look_past_this_folder()
    _keep_stdout()
    try:
        from ablations import cli

        cli.main()
    except ImportError as error:
        sys.exit(f"error: {_in_the_way(error) or _missing(error)}")


def _look_past_this_folder() -> None:
    """Take no file beside a study for a module of the suite or of a library, be it called nin.py, torch.py or random.py."""
    suite = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    try:
        here = os.getcwd()
    except FileNotFoundError:
        here = ""  # somebody deleted the folder
    # `python -m` puts the current folder first. In a checkout it is the suite's own.
    if not sys.flags.safe_path and sys.path[0] in {"", here} and here != suite:
        sys.path.append(sys.path.pop(0))
    # Workers and MLflow's pages are Pythons that begin like this one.
    os.environ["PYTHONSAFEPATH"] = "1"


def _in_the_way(error: ImportError) -> str:
    """A message about a file that was taken for a module of the same name; empty if there is none."""
    name = (error.name or "").partition(".")[0]
    file = getattr(sys.modules.get(name), "__file__", None) or ""
    suite = os.path.dirname(os.path.abspath(__file__))
    if not file or "site-packages" in file or file.startswith((suite, sys.prefix, sys.base_prefix)):
        return ""
    return f"{file} has the name of a module that the suite needs ({error}). Rename it, or take its folder from PYTHONPATH."


def _missing(error: ImportError) -> str:
    # Any Python finds this package in a checkout, but only one of them has its requirements.
    return (
        f"{error.name or error} is not installed for {sys.executable}. `make run` installs all requirements into .venv; then: "
        "source .venv/bin/activate"
    )


def _keep_stdout() -> None:
    """Keep standard output for the suite: what libraries below Python write to file descriptor 1 goes to standard error."""
    # Pythons without a console have None.
    before: io.TextIOWrapper | None = sys.stdout  # type: ignore[assignment]
    if before is None or sys.stderr is None:
        return
    own = os.fdopen(os.dup(1), "wb", buffering=0 if before.write_through else -1)
    os.dup2(2, 1)
    sys.stdout = io.TextIOWrapper(
        own, before.encoding, before.errors, line_buffering=before.line_buffering, write_through=before.write_through
    )


def _leave_garbage() -> None:
    # A library of torch takes frozen objects for leaks, and writes pages about them to stderr.
    if "torch" not in sys.modules:
        gc.freeze()


if __name__ == "__main__":
    main()
