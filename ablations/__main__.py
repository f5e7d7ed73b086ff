"""`python -m ablations`."""

import atexit
import gc
import sys


def main() -> None:
    """Run the command line in a process of its own."""
    # Starting up makes a hundred thousand objects and hardly any garbage. Collecting it again and again, and once more at the
    # end of the process, took a fifth of `check`.
    gc.set_threshold(100_000)
    atexit.register(_leave_garbage)
    try:
        from ablations import cli

        cli.main()
    except ModuleNotFoundError as error:
        # Any Python finds this package in a checkout, but only one of them has its requirements.
        sys.exit(
            f"error: {error.name or error} is not installed for {sys.executable}. `make run` installs all requirements into .venv; "
            "then: source .venv/bin/activate"
        )


def _leave_garbage() -> None:
    # A library of torch takes frozen objects for leaks, and writes pages about them to stderr.
    if "torch" not in sys.modules:
        gc.freeze()


if __name__ == "__main__":
    main()
