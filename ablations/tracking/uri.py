"""Tracking URIs that cannot work, and what to write instead. Loads no mlflow."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(?:/.*)?|\[[0-9a-fA-F:]+\]:\d+(?:/.*)?")
_CODE = re.compile(r"%[0-9a-fA-F]{2}")
_EXAMPLES = "Name a file, such as sqlite:///mlflow.db, or a server, such as http://localhost:5000"


def objection(uri: str) -> str | None:
    """The rule that a tracking URI breaks, and what to do, as the end of a sentence; None if it may be a store's.

    MLflow would take many of these for something else, or fail only when it is asked for a run.
    """
    return next(_objections(uri), None)


def _objections(uri: str) -> Iterator[str]:
    scheme = uri.partition(":")[0].lower()
    if not uri.strip():
        yield f"is empty. {_EXAMPLES}"
    elif uri != uri.strip():
        yield f"begins or ends with a space. {_did_you_mean(uri.strip())}"
    elif _HOST_AND_PORT.fullmatch(uri):
        yield f"does not begin with http://. {_did_you_mean(f'http://{uri}')}"
    elif scheme in {"databricks", "databricks-uc", "uc"}:
        yield f"is an address of Databricks, which names experiments in another way than the suite. {_EXAMPLES}"
    elif scheme == "file" or ":" not in uri:
        yield from _objections_to_path(uri)
    elif scheme.split("+")[0] == "sqlite":
        yield from _objections_to_file(uri)
    elif scheme in {"http", "https"}:
        yield from _objections_to_server(uri, scheme)
    elif scheme.split("+")[0] == "postgres":
        yield f"has a scheme that SQLAlchemy no longer knows. {_did_you_mean(f'postgresql{uri[8:]}')}"


def _objections_to_file(uri: str) -> Iterator[str]:
    prefix, _, rest = uri.partition(":")
    path = rest.removeprefix("///")
    if path.strip("/") in {"", ":memory:"} or "mode=memory" in path:
        yield "is a database in memory, and its records are gone after the run. Name a file, such as sqlite:///mlflow.db"
    elif prefix != "sqlite" or path == rest:
        # Four slashes begin an absolute path.
        absolute = rest.startswith("/") and not rest.startswith("//")
        file = path if absolute else path.lstrip("/")
        yield f"is not written sqlite:///FILE. {_did_you_mean(f'sqlite:///{file}')}"
    elif "?" in path and "?" in (folder := str(Path(path).parent)) and Path(folder).is_dir():
        yield "is in a folder with a '?' in its name, where SQLAlchemy looks for options. Rename the folder"
    elif "?" in path:
        yield f"has options, which are not supported. Leave out all from the '?' on: sqlite:///{path.partition('?')[0]}"
    elif found := _CODE.search(path):
        code, character = found[0], unquote(found[0])
        # SQLAlchemy 2.1 would open one file, and the suite keep its queue and locks beside another.
        yield (
            f"has {code} in it, which SQLAlchemy reads as {character!r}. Write {character!r} instead; or if a name on the "
            "path has it, rename that file or folder"
        )
    elif Path(path).is_dir():
        inside = Path(path) / "mlflow.db"
        yield f"is a folder, and not a database. {_did_you_mean(f'sqlite:///{inside}')}"


def _objections_to_server(uri: str, scheme: str) -> Iterator[str]:
    rest = uri[len(scheme) + 1 :]
    host = rest.lstrip("/")
    if not rest.startswith("//") or rest.startswith("///"):
        yield f"is not written {scheme}://HOST. {_did_you_mean(f'{scheme}://{host}') if host else _EXAMPLES}"
        return
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        # Python's message would show a part of a password.
        yield f"has no host, or a port that is no number. {_EXAMPLES}"
        return
    if not parts.hostname:
        yield f"names no host. {_EXAMPLES}"
    elif any(map(str.isspace, uri)):
        yield f"has a space in it. {_EXAMPLES}"
    elif "@" in (page := parts.query + parts.fragment):
        yield "has a '#' or a '?' before its '@'. In a user name or password write them as %23 and %3F"
    elif page or uri[-1] in "#?":
        mark = min("#?", key=f"{uri}#?".index)
        # Copied from the browser.
        yield f"is the address of a page. Leave out what begins with {mark}: {uri.partition(mark)[0].rstrip('/')}"


def _objections_to_path(uri: str) -> Iterator[str]:
    path = urlsplit(uri).path if uri.startswith("file:") else uri
    if path.endswith((".db", ".sqlite", ".sqlite3")):
        yield f"is a path. {_did_you_mean(f'sqlite:///{os.path.expanduser(path)}')}"  # noqa: PTH111
    else:
        yield f"is a path or a name, and MLflow keeps no runs in folders. {_EXAMPLES}"


def _did_you_mean(uri: str) -> str:
    return f"Did you mean {uri}?"
