"""Consoles for text as it is written."""

from __future__ import annotations

from rich.console import Console


def plain_console(*, stderr: bool = False) -> Console:
    """A console without markup: in a study's texts, "[x]" is no style and ":x:" no picture.

    Args:
        stderr: whether it prints on standard error.
    """
    # In a notebook, too, it prints text rather than HTML.
    return Console(markup=False, emoji=False, highlight=False, stderr=stderr, force_jupyter=False)
