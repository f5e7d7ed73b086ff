"""`sync`: queues that are not of this store."""

from __future__ import annotations

from pathlib import Path

from commandline import Command

from ablations.tracking.store import Address, Store


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
