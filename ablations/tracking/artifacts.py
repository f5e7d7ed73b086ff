"""Files of runs, read from a local store's folder or from a server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ablations.tracking.client import Client, MlflowException, Run, download_artifacts
from ablations.tracking.store import Store

FILES = "mlruns"
"""Folder of all runs' files, beside a local database."""


def artifact_folder(client: Client, artifact_uri: str) -> Path | None:
    """The folder of a run's files in the client's store; None if a server keeps them.

    A database holds absolute paths. If it was moved or copied with its folder `mlruns`, the files are beside it, and those at
    the recorded place are another store's.
    """
    folder = local_folder(artifact_uri)
    file = Store(client.tracking_uri).file
    # Another place was somebody's choice.
    if folder is None or file is None or folder.parts[-3:-2] != (FILES,):
        return folder
    beside = file.parent.joinpath(*folder.parts[-3:])
    return folder if folder.exists() and not beside.exists() else beside


def local_folder(artifact_uri: str) -> Path | None:
    """The folder of an address of files as it was recorded; None if a server keeps them."""
    parts = urlsplit(artifact_uri)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def stored_text(client: Client, run: Run, file: str) -> str | None:
    """Read a file of a run; None if the run has no such file."""
    folder = artifact_folder(client, run.info.artifact_uri)
    if folder is not None:
        return artifact_text(client, run.info.artifact_uri, file) if (folder / file).exists() else None
    if file not in {item.path for item in client.list_artifacts(run.info.run_id)}:
        return None
    return artifact_text(client, run.info.artifact_uri, file)


def artifact_text(client: Client, artifact_uri: str, file: str) -> str:
    """Read a file of a run.

    Raises:
        FileNotFoundError: the run has no such file.
    """
    folder = artifact_folder(client, artifact_uri)
    if folder is not None:
        # MLflow's client takes sixteen times as long, and a report reads thousands of files.
        return (folder / file).read_text(encoding="utf-8", errors="replace")
    try:
        # MLflow's own `load_text` asks the server that is set for the whole process.
        with tempfile.TemporaryDirectory(prefix="ablations-") as name:
            there = download_artifacts(f"{artifact_uri}/{file}", dst_path=name, tracking_uri=client.tracking_uri)
            return Path(there).read_text(encoding="utf-8", errors="replace")
    except MlflowException as error:
        # The client has the same code for a server that does not answer.
        if "404 Client Error" in str(error):
            raise FileNotFoundError(f"{file} is not there") from error
        raise
