"""`python -m ablations`."""

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
    _keep_stdout()
    try:
        from ablations import cli

        cli.main()
    except ModuleNotFoundError as error:
        # Any Python finds this package in a checkout, but only one of them has its requirements.
        sys.exit(
            f"error: {error.name or error} is not installed for {sys.executable}. `make run` installs all requirements into .venv; "
            "then: source .venv/bin/activate"
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
