"""A local store that was moved or copied: its database holds the absolute paths of its files."""

from __future__ import annotations

import shlex
from contextlib import suppress

from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from ablations.errors import TrackingError
from ablations.text import plural
from ablations.tracking import layout, runs
from ablations.tracking.artifacts import FILES, local_folder
from ablations.tracking.client import Client, ViewType
from ablations.tracking.database import require_writable, store_errors
from ablations.tracking.store import Store


def settle_all(store: Store) -> None:
    """Settle all studies of a store, as far as it takes writes, for MLflow's pages."""
    if store.file is None or not store.file.exists():
        return
    with suppress(TrackingError), store_errors(store):
        require_writable(store)
        client = Client(store.uri)
        experiments = [each.experiment_id for each in runs.all_pages(client.search_experiments, ViewType.ALL)]
        for experiment_id in {run.info.experiment_id for run in runs.study_runs(client, experiments)}:
            settle(store, client, experiment_id)


def settle(store: Store, client: Client, experiment_id: str) -> None:
    """Record that a study's files are beside the database, if they were recorded elsewhere.

    The suite looks beside the database anyway. But MLflow's pages and `runs:/` addresses go by the recorded paths, so those of
    a copy would show the original's files. MLflow has no call to change them.

    Raises:
        TrackingError: the database came without its files.
    """
    file = store.file
    if file is None:
        return
    recorded = client.get_experiment(experiment_id).artifact_location
    there, here = local_folder(recorded), file.parent / FILES
    # Another place was somebody's choice.
    if there is None or there.name != FILES or there == here:
        return
    original = there.parent / file.name
    if here.is_symlink() and here.resolve() == there.resolve() and original.exists() and not original.samefile(file):
        raise TrackingError(
            f"the database {file} is a copy, but its folder {FILES} is a link to the original's. Copy the files instead: "
            f"{shlex.join(['rm', str(here)])} && {shlex.join(['cp', '-rL', str(there), str(here)])}"
        )
    # Without a pool no connection outlives the block.
    engine = create_engine(store.uri, poolclass=NullPool)
    of_experiment = {"experiment": experiment_id, "old": recorded, "new": here.as_uri()}
    with engine.begin() as connection:
        # Only runs with a file by now: the original may have gone on since it was copied.
        found = connection.execute(
            text(
                "SELECT DISTINCT run_uuid FROM runs JOIN tags USING (run_uuid) "
                "WHERE experiment_id = :experiment AND tags.key IN (:planned, :ended)"
            ),
            {**of_experiment, "planned": layout.PLAN_ID, "ended": layout.STATUS},
        )
        left = [run_id for (run_id,) in found if (there / run_id).exists() and not (here / run_id).exists()]
        if left:
            raise TrackingError(
                f"the database {file} was moved or copied without its files: those of {plural(len(left), 'run')} are in {there}. "
                f"Copy them with: cp -r {shlex.quote(str(there))} {shlex.quote(str(file.parent))}/"
            )
        connection.execute(
            text(
                "UPDATE runs SET artifact_uri = :new || '/' || run_uuid || '/artifacts' "
                "WHERE experiment_id = :experiment AND artifact_uri = :old || '/' || run_uuid || '/artifacts'"
            ),
            of_experiment,
        )
        connection.execute(
            text("UPDATE experiments SET artifact_location = :new WHERE experiment_id = :experiment"), of_experiment
        )
