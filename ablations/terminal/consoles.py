"""Consoles for text as it is written."""

from __future__ import annotations

import sys

from rich.console import Console


def plain_console(*, stderr: bool = False) -> Console:
    """A console without markup: in a study's texts, "[x]" is no style and ":x:" no picture.

    Args:
        stderr: whether it prints on standard error.
    """
    # In a notebook, too, it prints text rather than HTML. It keeps its file while prints of a user's code go elsewhere.
    file = sys.stderr if stderr else sys.stdout
    return Console(markup=False, emoji=False, highlight=False, file=file, force_jupyter=False)


def print_prose(text: str, console: Console) -> None:
    """Print text without commands: a terminal breaks its lines between words; in a file no line is broken."""
    console.print(text, soft_wrap=not console.is_terminal)
