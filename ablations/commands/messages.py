"""Exit codes, and messages on standard error."""

from __future__ import annotations

import sys
from typing import NoReturn

from ablations.text import printable

DONE, STOPPED, INTERRUPTED = 0, 3, 130
"""Exit codes beside those of `ablations.errors`; README.md explains them all."""


def warn(message: str) -> None:
    """Print a warning."""
    say(f"warning: {message}")


def fail(message: str, exit_code: int) -> NoReturn:
    """Print an error and end the process."""
    say(f"error: {message}")
    sys.exit(exit_code)


def say(message: str) -> None:
    """Print a message on standard error; the terminal shows text of files and stores, and never obeys it."""
    print(printable(message), file=sys.stderr)
