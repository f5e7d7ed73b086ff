"""The spool's entries: a frozen record for each kind, and their lines of JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator, TypeAdapter

from ablations.planning.frozen import Ledger
from ablations.tracking.layout import Labels
from ablations.trial import Device, EpochRecord, Phase, TrialResult, TrialSpec

Json = dict[str, Any]
"""A JSON object that passes unread: another version of the suite may have written it."""
LabelTags = Annotated[Labels, PlainValidator(Labels.from_tags), PlainSerializer(Labels.to_tags)]
ResultJson = Annotated[TrialResult, PlainValidator(TrialResult.from_json), PlainSerializer(TrialResult.to_json)]


@dataclass(frozen=True)
class DatasetSource:
    """The data set of a study."""

    name: str
    checksum: str
    source: str
    """Settings of the data, and the package of the data set, as JSON."""


@dataclass(frozen=True, kw_only=True)
class StudyEntry:
    """A run of a study starts."""

    kind: Literal["study"] = "study"
    plan_id: str
    text: str
    """The study file."""
    plan: Json
    tags: dict[str, str]
    dataset: DatasetSource | None = None
    """None in lines of older versions."""


@dataclass(frozen=True)
class DescribedTrial:
    """A trial as the file in its run describes it to people."""

    trial_id: str
    variant: str
    phase: Phase
    seed: int
    number: int | None
    hyperparameters: dict[str, Any]
    config: Json
    data_checksum: str
    device: Device

    @classmethod
    def of(cls, spec: TrialSpec) -> DescribedTrial:
        """The description of a trial."""
        return cls(
            trial_id=spec.id,
            variant=spec.variant,
            phase=spec.phase,
            seed=spec.seed,
            number=spec.number,
            hyperparameters=spec.hyperparameters,
            config=spec.config.to_json(),
            data_checksum=spec.data_checksum,
            device=spec.device,
        )


@dataclass(frozen=True)
class Weights:
    """The weights of a trained network, to be recorded as a model."""

    file: Annotated[Path, PlainSerializer(str)]
    config: Json
    """The trial's, as `logged_models.CONFIG` writes it."""


@dataclass(frozen=True, kw_only=True)
class TrialEntry:
    """A trial, or its epochs so far."""

    kind: Literal["trial"] = "trial"
    trial_id: str
    name: str
    """For people: `two, tune 3, lr 0.0898`."""
    tags: dict[str, str]
    """Unlike labels, the same for every plan."""
    labels: LabelTags
    session: str
    """Id of the session's description."""
    params: dict[str, str]
    spec: DescribedTrial
    status: Literal["RUNNING", "KILLED", "FAILED", "FINISHED"]
    """MLflow's word."""
    started_ms: int
    """Wall clock, milliseconds since 1970."""
    ended_ms: int
    epochs: tuple[EpochRecord, ...]
    """Epochs that were not written before; all epochs if there is a result."""
    result: ResultJson | None
    weights: Weights | None = None
    """None also in lines of older versions."""


@dataclass(frozen=True, kw_only=True)
class LabelsEntry:
    """A recorded trial belongs to another variant now."""

    kind: Literal["labels"] = "labels"
    trial_id: str
    labels: Annotated[LabelTags, Field(alias="tags")]


@dataclass(frozen=True, kw_only=True)
class TextEntry:
    """A file of the study, and tags to set once it is written."""

    kind: Literal["text"] = "text"
    file: str
    text: str
    tags: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class LedgerEntry:
    """Rules of a study's verdicts, or looks at its results. They are added to those in the store."""

    kind: Literal["ledger"] = "ledger"
    ledger: Ledger


@dataclass(frozen=True, kw_only=True)
class EndEntry:
    """A run of a study ends."""

    kind: Literal["end"] = "end"
    status: Literal["KILLED", "FINISHED"]
    """MLflow's word: finished only if every trial has an outcome."""
    ended_ms: int
    """Wall clock, milliseconds since 1970."""


Entry = Annotated[
    StudyEntry | TrialEntry | LabelsEntry | TextEntry | LedgerEntry | EndEntry, Field(discriminator="kind")
]


@cache
def _adapter() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)


def to_line(entry: Entry) -> bytes:
    """An entry as a line of JSON, line break included; `from_line` is the inverse."""
    return json.dumps(_adapter().dump_python(entry, by_alias=True)).encode() + b"\n"


def from_line(line: bytes) -> Entry:
    """Read an entry, also of an older version.

    Raises:
        ValueError: the line is damaged.
    """
    try:
        return _adapter().validate_python(json.loads(line))
    # The readers of a trial's result and labels raise more than ValueError.
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise ValueError(f"not an entry of a spool: {error}") from error
