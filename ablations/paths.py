"""Paths as people write them."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from ablations.errors import UserError


def expanded(path: str | PathLike[str]) -> Path:
    """A path with `~` written out, which a shell leaves alone in `--data-dir=~/data` and between quotes.

    Called once per path, where it enters: an option, a variable or an argument of Python.

    Args:
        path: as given; `~` is the own home folder, `~name` somebody's.

    Raises:
        UserError: nobody has this name.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise UserError(
            f"{path}: {Path(path).parts[0]} is no user of this machine; write the path without it"
        ) from error
