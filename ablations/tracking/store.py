"""TODO"""

from __future__ import annotations

import re
from pathlib import Path

from ablations.tracking import layout


def shown_uri(text: str) -> str:
    """A tracking URI, or a text with some in it, without its passwords: those before a host, and those among the options."""
    return _OPTION.sub(r"\1***", _LOGIN.sub("***@", text))


_LOGIN = re.compile(r"(?<=://)[^/\s]\S*@")


_OPTION = re.compile(r"(?i)((?:pass|pwd|token|secret)\w*(?:=|%3d))(?:(?!%3b)[^&;\s])+")


def state_folder(tracking_uri: str) -> Path:
    """Where this machine keeps what belongs to a store: beside a local database, else in the working folder."""
    file = layout.database(tracking_uri)
    return (Path() if file is None else file.parent) / ".ablations"
