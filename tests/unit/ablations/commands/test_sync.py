"""`sync`: queues that are not of this store."""

from __future__ import annotations

import subprocess
from pathlib import Path

from commandline import Command

from ablations.tracking.store import Address, Store
from ablations.trial import content_hash


def test_records_of_a_database_that_was_renamed_are_named(command: Command, store: str) -> None:
    queue = Address("tiny", "starter", Store(store)).spool
    queue.parent.mkdir(parents=True, exist_ok=True)
    queue.touch()
    Path("mlflow.db").rename("team.db")
    code, out, err = command("sync", "--tracking-uri", "sqlite:///team.db")
    assert (code, out) == (0, "no record is queued for sqlite:///team.db\n")
    assert err == (
        f"warning: {queue} has records for another store: a server, or a database that had another name then. Name the server "
        "with --tracking-uri, or give the database its name back.\n"
    )


def test_records_that_an_older_version_queued_beside_a_link_are_named(
    command: Command, store: str, tmp_path: Path
) -> None:
    folder, uri = tmp_path / "my link", f"sqlite:///{tmp_path}/my link/team.db"
    folder.mkdir()
    (folder / "team.db").symlink_to(Store(store).file or "")
    assert command("sync", "--tracking-uri", uri)[2] == ""
    queue = folder / ".ablations" / "spool" / content_hash("team.db") / "tiny-starter.jsonl"
    queue.parent.mkdir(parents=True)
    queue.touch()
    err = command("sync", "--tracking-uri", uri)[2]
    move = err.partition("Move them with: ")[2].partition("\n")[0]
    subprocess.run(["bash", "-c", move], check=True)
    assert Address("tiny", "starter", Store(store)).spool.exists()
    assert command("sync", "--tracking-uri", uri) == (0, f"tiny at profile starter: 0 records written to {uri}\n", "")
