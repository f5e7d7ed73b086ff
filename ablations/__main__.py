"""`python -m ablations`."""

import atexit
import gc
import sys


def main() -> None:
    """Run the command line in a process of its own."""
    # Starting up makes objects by the hundred thousand and hardly any garbage. To look for it over and over, and once more at
    # the end in what goes with the process anyway, was a fifth of `check`.
    gc.set_threshold(100_000)
    atexit.register(_leave_garbage)
    try:
        from ablations import cli
    except ModuleNotFoundError as error:
        # In a checkout this package is found by any Python, and what it needs only by the one that it was installed for.
        sys.exit(
            f"error: {error.name} is not installed for {sys.executable}. `make run` installs all that is needed into .venv; "
            "then: source .venv/bin/activate"
        )

    cli.main()


def _leave_garbage() -> None:
    # torch brings a library that takes what is left for leaks of its own, and writes pages about them to stderr.
    if "torch" not in sys.modules:
        gc.freeze()


if __name__ == "__main__":
    main()
