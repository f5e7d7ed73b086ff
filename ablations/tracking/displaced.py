"""Where a study is in MLflow, and what to do if somebody deleted or renamed it there."""

from __future__ import annotations

import shlex

from ablations.errors import TrackingError
from ablations.studyfile.spec import NAME
from ablations.text import shown
from ablations.tracking import layout, runs
from ablations.tracking.client import Client, Experiment, Run, ViewType
from ablations.tracking.database import store_errors
from ablations.tracking.store import Address, Store


def find_study(client: Client, address: Address) -> tuple[str | None, list[Run]]:
    """Find a study's experiment and runs.

    Returns:
        Id of the experiment, None if there is none; and the study's own runs, as `runs.study_runs` orders them.

    Raises:
        TrackingError: the experiment was deleted or renamed; the message says how to bring it back.
    """
    experiment = client.get_experiment_by_name(address.experiment)
    if experiment is not None and experiment.lifecycle_stage != "active":
        raise TrackingError(_deleted(address.store, experiment))
    studies = runs.study_runs(client, [experiment.experiment_id]) if experiment else []
    if not studies and (reason := displaced(address.store).get(address)):
        raise TrackingError(reason)
    return str(experiment.experiment_id) if experiment else None, studies


def displaced(store: Store) -> dict[Address, str]:
    """Recorded studies that no command reads, because of a change in MLflow; each with the reason and the remedy.

    Raises:
        TrackingError: the store cannot be used.
    """
    with store_errors(store):
        client = Client(store.uri)
        experiments = {each.experiment_id: each for each in runs.all_pages(client.search_experiments, ViewType.ALL)}
        found: dict[Address, tuple[Experiment, Run]] = {}
        for run in runs.study_runs(client, list(experiments)):
            study, profile = (run.data.tags.get(tag, "") for tag in (layout.STUDY, layout.PROFILE))
            if layout.PLAN_ID in run.data.tags and NAME.fullmatch(study) and NAME.fullmatch(profile):
                address, experiment = Address(study, profile, store), experiments[run.info.experiment_id]
                # A run in its own experiment counts before one in another.
                if address not in found or experiment.name == address.experiment != found[address][0].name:
                    found[address] = experiment, run
        reasons = {address: _reason(address, *place) for address, place in found.items()}
    return {address: reason for address, reason in reasons.items() if reason is not None}


def _reason(address: Address, experiment: Experiment, run: Run) -> str | None:
    """Why no command reads this run of a study; None if they do."""
    if experiment.lifecycle_stage != "active":
        return _deleted(address.store, experiment)
    if experiment.name != address.experiment:
        return renamed(address, experiment)
    return None if run.info.lifecycle_stage == "active" else deleted_run(address, run)


def deleted_run(address: Address, run: Run) -> str:
    """The message for a study whose own run was deleted."""
    return (
        f"the run of {address} was deleted in MLflow; its trials and looks are kept. Restore it with: {address.store.mlflow} runs "
        f"restore --run-id {shlex.quote(run.info.run_id)}"
    )


def renamed(address: Address, experiment: Experiment) -> str:
    """The message for a study in an experiment of another name."""
    return (
        f"the MLflow experiment {shown(experiment.name)} holds the study {address}: it was renamed in MLflow. Rename it back "
        f"with: {address.store.mlflow} experiments rename --experiment-id {_number(experiment)} --new-name "
        f"{shlex.quote(address.experiment)}"
    )


def _deleted(store: Store, experiment: Experiment) -> str:
    return (
        f"the MLflow experiment {shown(experiment.name)} of {store} was deleted. Restore it with: {store.mlflow} experiments "
        f"restore --experiment-id {_number(experiment)}\nTo train the study from the start, give it another name, or "
        "another store with --tracking-uri."
    )


def _number(experiment: Experiment) -> str:
    """An experiment's id for a command line, whatever the store holds."""
    return shlex.quote(str(experiment.experiment_id))
