"""The layout of trials in MLflow: names of tags and files, and records as tags and metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from ablations.planning.plan import is_rerun, search_of_tuning
from ablations.trial import EpochRecord, TrialResult, TrialSpec, in_short

TRIAL_ID = "ablations.trial_id"
STUDY = "ablations.study"
PROFILE = "ablations.profile"
VARIANT = "ablations.variant"
VARIANT_KEY = "ablations.variant_key"
FAMILY = "ablations.family"
PHASE = "ablations.phase"
SEED = "ablations.seed"
NUMBER = "ablations.number"
STATUS = "ablations.status"
MESSAGE = "ablations.message"
MODEL_MESSAGE = "ablations.model_message"
REASON = "ablations.reason"
VERDICT = "ablations.verdict"
PARAMS_MESSAGE = "ablations.params_message"
ATTEMPTS = "ablations.attempts"
PARTS = "ablations.accumulated_parts"
HYPERPARAMETERS = "ablations.hyperparameters"
KIND = "ablations.kind"
PLAN_ID = "ablations.plan_id"
LOOKS = "ablations.looks"
FROZEN = "ablations.frozen_plans"
SESSION = "ablations.session"
SETTLED = "ablations.settled_plan_id"
SINCE = "ablations.since_ms"
PARENT = "mlflow.parentRunId"
DESCRIPTION = "mlflow.note.content"
SOURCE = "mlflow.source.name"
SOURCE_TYPE = "mlflow.source.type"
COMMIT = "mlflow.source.git.commit"

PLAN_FILE = "plan.json"
STUDY_FILE = "study.yaml"
MEASUREMENTS_FILE = "measurements.json"
TRIALS_FILE = "trials.json"
LEDGER_FILE = "ledger.json"
TRIAL_FILE = "trial.json"

LAST_METRIC = "epoch_seconds"
"""The metric of an epoch that is written last: if it is there, so are the others."""

_TYPES = get_type_hints(EpochRecord)
_EPOCH_METRICS = _TYPES.keys() - {"timestamp_ms", "learning_onset_step"}
"""The metrics of every epoch."""
MAX_TAG_CHARACTERS, MAX_PARAM_CHARACTERS, MAX_NAME_CHARACTERS = 5000, 6000, 250
"""MLflow may drop the rest of a longer tag or param, or refuse it with all that is written with it."""


_MARKUP = re.compile(r"[\\`*_\[\]#|~]|^[-+=]|(?<=\d)[.)](?=\s)", re.MULTILINE)
"""Signs with a meaning in Markdown; a backslash makes them text. MLflow's pages would show the backslash before other signs."""


def in_markdown(text: str) -> str:
    """A text in a description of MLflow's, without markup."""
    return _MARKUP.sub(r"\\\g<0>", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))


def shortened(text: str, max_characters: int) -> str:
    """A text for people within a limit of MLflow's; trial.json and plan.json have all of it."""
    return text if len(text) <= max_characters else f"{text[: max_characters - 2]} …"


def session_file(session: str) -> str:
    """The file in a study's run with the description of a session: versions, processor, commit, command."""
    return f"session-{session}.json"


def source_tags(study: str, session: Mapping[str, Any]) -> dict[str, str]:
    """Where a run comes from, for MLflow's columns Source and Version.

    Args:
        study: name of the study, and of its file.
        session: description of the session; without a commit the run has no version.
    """
    commit = session.get("commit")
    return {SOURCE: f"{study}.yaml", SOURCE_TYPE: "LOCAL", **({COMMIT: commit} if isinstance(commit, str) else {})}


def run_name(spec: TrialSpec) -> str:
    """A trial's run as people call it: `two, tune 3, lr 0.0898`, `two, confirm, seed 1, lr 0.0898`."""
    number = "" if spec.number is None else f" {spec.number}"
    search = search_of_tuning(spec.seed) if spec.phase == "tune" else 0
    which = [f"search {search}"] if search else []
    # Every search is on one seed.
    seed = [] if spec.phase == "tune" and not is_rerun(spec.seed) else [f"seed {spec.seed}"]
    name = ", ".join([spec.variant, f"{spec.phase}{number}", *which, *seed, *in_short(spec.hyperparameters)])
    return shortened(name, MAX_NAME_CHARACTERS)


def trial_params(spec: TrialSpec) -> dict[str, str]:
    """A trial's config by dotted key; phase and seed tell trials of one config apart in MLflow's plots."""
    params = {"phase": spec.phase, "seed": str(spec.seed)}
    for section, values in spec.config.to_json().items():
        for key, value in values.items():
            text = str(list(value) if isinstance(value, tuple) else value)
            params[f"{section}.{key}"] = shortened(text, MAX_PARAM_CHARACTERS)
    return params


def epoch_metrics(record: EpochRecord) -> dict[str, float]:
    """An epoch's metrics by name, without missing values."""
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: float(value) for name, value in values.items() if value is not None and name != "timestamp_ms"}


def epoch_record(metrics: dict[str, float], timestamp_ms: int) -> EpochRecord | None:
    """The inverse of `epoch_metrics`; None if there was no epoch, or if one of its metrics is missing."""
    if not metrics.keys() >= _EPOCH_METRICS:
        return None
    values: dict[str, Any] = {"timestamp_ms": timestamp_ms}
    for name, kind in _TYPES.items():
        if name != "timestamp_ms":
            value = metrics.get(name)
            values[name] = value if value is None or kind is float else int(value)
    return EpochRecord(**values)


@dataclass(frozen=True)
class Labels:
    """Tags of a trial that may differ from plan to plan: its result does not depend on them."""

    variant: str
    variant_key: str
    family: str | None
    number: int | None
    """Number within the variant's search."""
    hyperparameters: dict[str, Any]

    def to_tags(self) -> dict[str, str]:
        """Tags by name, without missing values."""
        tags = {
            VARIANT: self.variant,
            VARIANT_KEY: self.variant_key,
            FAMILY: self.family,
            NUMBER: None if self.number is None else str(self.number),
            HYPERPARAMETERS: json.dumps(self.hyperparameters),
        }
        return {key: value for key, value in tags.items() if value is not None}

    @classmethod
    def from_tags(cls, tags: Mapping[str, str]) -> Labels:
        """The inverse of `to_tags`; other tags are passed over.

        Raises:
            KeyError, TypeError, ValueError, RecursionError: a tag is missing or damaged.
        """
        return cls(
            tags[VARIANT],
            tags[VARIANT_KEY],
            tags.get(FAMILY),
            int(tags[NUMBER]) if NUMBER in tags else None,
            json.loads(tags[HYPERPARAMETERS]),
        )


def outcome_tags(result: TrialResult) -> dict[str, str]:
    """How a trial ended, beside its status; empty texts replace the texts of an earlier failed attempt."""
    return {
        MESSAGE: shortened(result.message or "", MAX_TAG_CHARACTERS),
        REASON: result.reason or "",
        ATTEMPTS: str(result.num_attempts),
        PARTS: str(result.accumulated_parts),
    }
