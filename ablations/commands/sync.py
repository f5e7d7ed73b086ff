"""`sync`: queued records, sent to MLflow."""

from __future__ import annotations

import shlex

from ablations.commands.messages import warn
from ablations.errors import StoreAwayError
from ablations.text import plural
from ablations.tracking import recorder
from ablations.tracking.lock import hold
from ablations.tracking.spool import elsewhere, num_waiting, spools
from ablations.tracking.store import Store


def sync(store: Store) -> None:
    """Send all records queued on this machine for a store.

    Raises:
        StoreAwayError: it takes no more; the rest stays queued.
        TrackingError: a study runs now, or a record is damaged.
    """
    _warn_of_link(store)
    waiting = spools(store)
    for address in waiting:
        try:
            with hold(address):
                count = recorder.sync(address, warn)
        except StoreAwayError as error:
            left = sum(map(num_waiting, waiting))
            away = StoreAwayError(f"{error}; {plural(left, 'record')} still queued for it")
            # Another store has none of them.
            away.advice = "Try again later."
            raise away from error
        print(f"{address}: {plural(count, 'record')} written to {store}")
    if not waiting:
        print(f"no record is queued for {store}")
        for file in elsewhere(store):
            warn(
                f"{file} has records for another store: a server, or a database that had another name then. Name the server with "
                "--tracking-uri, or give the database its name back."
            )


def _warn_of_link(store: Store) -> None:
    folder, here = store.spool_folder_by_link, store.spool_folder
    if folder is not None and any(folder.glob("*-*.jsonl")):
        source, target = shlex.quote(str(folder)), shlex.quote(str(here))
        warn(
            f"{folder} has records that an older version queued beside a link to the database. Move them with: mkdir -p {target} && "
            f"mv -n {source}/* {target}/\nThen send them with: python -m ablations sync{store.option}"
        )
