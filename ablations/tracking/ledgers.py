"""What studies planned and looked at, in MLflow: in tags of the study's run, and once more in a file of it.

A tag is deleted with one click. As long as one of the two is there, nothing is forgotten.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import TypeAdapter

from ablations.errors import TrackingError
from ablations.planning.frozen import FrozenPlan, Ledger, Look
from ablations.studyfile.spec import NAME
from ablations.tracking import layout, runs
from ablations.tracking.artifacts import artifact_folder, stored_text
from ablations.tracking.client import Client, Run, RunTag, ViewType
from ablations.tracking.database import require_writable, store_errors
from ablations.tracking.store import Address, Store

T = TypeVar("T")
_LOOKS = TypeAdapter(tuple[Look, ...])
_FROZEN = TypeAdapter(tuple[FrozenPlan, ...])
_LEDGER = TypeAdapter(Ledger)


def read_ledgers(address: Address) -> list[Ledger]:
    """Read the ledgers of all studies in a store, the one of `address` first; none if there is no store.

    Raises:
        TrackingError: the store cannot be used, or a record of the study was written by another version of the suite.
    """
    if address.store.file is not None and not address.store.file.exists():
        return []
    with store_errors(address.store):
        return all_ledgers(Client(address.store.uri), address)


def stored_ledger(client: Client, study: str, profile: str, studies: Sequence[Run]) -> Ledger:
    """Read what a study planned and looked at.

    Args:
        client: of the store.
        study: its name.
        profile: of its runs.
        studies: all runs of the study, deleted ones too: a look in any of them was taken.

    Raises:
        TrackingError: a record was written by another version of the suite, or edited.
    """
    ledger = Ledger(study, profile)
    for run in sorted(studies, key=lambda run: run.info.start_time):
        for records in _readable(client, run, study, profile):
            ledger = ledger.with_records_of(records)
    return ledger


def _readable(client: Client, run: Run, study: str, profile: str) -> list[Ledger]:
    """The ledgers in a run's tags and in its file. Each of them has all: if one is damaged, the other is enough."""
    sources: list[Callable[[], Ledger | None]] = [lambda: _tagged(run, study, profile), lambda: _from_file(client, run)]
    found: list[Ledger] = []
    errors: list[TrackingError] = []
    for source in sources:
        try:
            found += [ledger for ledger in [source()] if ledger is not None]
        except TrackingError as error:
            errors.append(error)
    if errors and not any(ledger.frozen or ledger.looks for ledger in found):
        raise errors[0]
    return found


def _tagged(run: Run, study: str, profile: str) -> Ledger:
    tags = run.data.tags
    frozen, looks = _from_tags(_FROZEN, tags, layout.FROZEN, run), _from_tags(_LOOKS, tags, layout.LOOKS, run)
    return Ledger(study, profile, frozen, looks)


def all_ledgers(client: Client, address: Address) -> list[Ledger]:
    """The ledgers of all studies in the store, this one first: other studies may have looked at the same trials.

    Raises:
        TrackingError: a record of this study was written by another version of the suite, or edited.
    """
    experiments = [each.experiment_id for each in runs.all_pages(client.search_experiments, ViewType.ALL)]
    found: dict[tuple[str, str], list[Run]] = {(address.study, address.profile): []}
    for run in runs.study_runs(client, experiments):
        study, profile = (run.data.tags.get(tag, "") for tag in (layout.STUDY, layout.PROFILE))
        if NAME.fullmatch(study) and NAME.fullmatch(profile):
            found.setdefault((study, profile), []).append(run)
    own, *others = found.items()
    ledgers = [stored_ledger(client, *own[0], own[1])]
    for (study, profile), studies in others:
        # A damaged record of another study is an error of its own reports.
        with suppress(TrackingError):
            ledgers.append(stored_ledger(client, study, profile, studies))
    return ledgers


def write_ledger(client: Client, run: Run, ledger: Ledger) -> None:
    """Add records to a study's run; those that it has stay."""
    ledger = stored_ledger(client, ledger.study, ledger.profile, [run]).with_records_of(ledger)
    text = json.dumps(asdict(ledger))
    folder = artifact_folder(client, run.info.artifact_uri)
    if folder is None:
        client.log_text(run.info.run_id, text, layout.LEDGER_FILE)
    else:
        folder.mkdir(parents=True, exist_ok=True)
        # A driver that is killed here leaves the file as it was.
        part = folder / f"{layout.LEDGER_FILE}.part"
        part.write_text(text, encoding="utf-8")
        part.replace(folder / layout.LEDGER_FILE)
    tags = {**_to_tags(ledger.frozen, layout.FROZEN), **_to_tags(ledger.looks, layout.LOOKS)}
    # In one transaction: half of the tags cannot be read.
    client.log_batch(run.info.run_id, tags=[RunTag(name, text) for name, text in tags.items()])


def record_looks(store: Store, parent_run_id: str, ledger: Ledger) -> None:
    """Record looks at a study's results, and the error budget that each spent.

    Raises:
        TrackingError: the store cannot be written to.
    """
    with store_errors(store):
        try:
            require_writable(store)
        except TrackingError as error:
            raise TrackingError(f"a report with verdicts is recorded as a look at the results, but {error}") from error
        client = Client(store.uri)
        write_ledger(client, client.get_run(parent_run_id), ledger)


def _from_file(client: Client, run: Run) -> Ledger | None:
    text = stored_text(client, run, layout.LEDGER_FILE)
    if text is None:
        return None
    try:
        return _LEDGER.validate_json(text)
    except ValueError as error:
        raise _unreadable(f"{layout.LEDGER_FILE} of run {run.info.run_id}", "the file") from error


def _to_tags(records: Sequence[Any], name: str) -> dict[str, str]:
    """Records as JSON, in as many tags as their text needs."""
    text, size = json.dumps([asdict(each) for each in records]), layout.MAX_TAG_CHARACTERS
    return dict(zip(_names(name), (text[at : at + size] for at in range(0, len(text), size)), strict=False))


def _from_tags(kind: TypeAdapter[T], tags: Mapping[str, str], name: str, run: Run) -> T:
    text = "".join(tags[each] for each in itertools.takewhile(tags.__contains__, _names(name)))
    try:
        return kind.validate_json(text or "[]")
    except ValueError as error:
        raise _unreadable(f"the tag {name} of run {run.info.run_id}", "the tag") from error


def _unreadable(where: str, what: str) -> TrackingError:
    return TrackingError(
        f"{where} was recorded by another version of the suite, or edited. Read it with that version, or restore {what} in MLflow."
    )


def _names(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name}.{number}" for number in itertools.count(2))
