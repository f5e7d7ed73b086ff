"""The search of one variant's hyperparameters. The only module that imports optuna.

The search keeps no database: suggestions are a pure function of the plan and of the results so far, in a fixed order.
A restart replays the search, and finds its trials by their ids among the recorded ones.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from itertools import product
from pathlib import Path
from statistics import mean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from ablations.planning.plan import Plan, is_rerun, search_of_tuning
from ablations.studyfile.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    active,
)
from ablations.studyfile.spec import SEARCH_STRIDE
from ablations.trial import EpochRecord, Order, RecordedTrial, TrialResult, TrialSpec, derive


class VariantTuner:
    """Asks for the tuning trials of one search of a variant and learns from their results.

    First the search: start points, then the sampler's draws, all on one seed. Each search of a study has draws and seeds for itself,
    the same for every variant. Then the best few configurations again, on
    fresh seeds. The best mean of these re-runs wins, because the best of many draws flatters itself (winner's curse).

    Optuna always draws every key, and the tuner drops the keys that a draw's own values switch off. Asked for the active keys
    only, Optuna would mistake the keys of the first results, or of the running trials, for the whole space. The Sobol sequence
    would restart at a new key or never include it, and draws would depend on the order of results. TPE's joint model would
    cover only the keys of all trials. As it is, TPE also learns from values without effect, at the cost of a few draws.
    """

    def __init__(self, plan: Plan, variant: str, search: int = 0) -> None:
        """Ask for nothing yet.

        Args:
            plan: of the study.
            variant: name of one of its variants.
            search: its number.
        """
        self._plan = plan
        self._variant = variant
        self._search = search
        self._distributions = {key: _distribution(value) for key, value in plan.search_space.items()}
        with _quiet():
            self._study = optuna.create_study(
                direction="maximize", sampler=_sampler(plan, search), pruner=_pruner(plan)
            )
        # Missing keys of a start point get a value, to be dropped again: Optuna would otherwise draw values for them and so
        # advance the sequence of all other draws.
        anywhere = {key: value.probes()[0] for key, value in plan.search_space.items()}
        for point in plan.tuning.start_points or []:
            self._study.enqueue_trial({**anywhere, **point})
        self._asked: list[TrialSpec] = []
        self._open: dict[str, list[optuna.Trial]] = {}
        """Trials without a result yet, by id; draws that coincide share one training."""
        self._results: dict[str, TrialResult] = {}
        self._reruns: list[TrialSpec] | None = None

    @property
    def asked(self) -> tuple[TrialSpec, ...]:
        """Every trial so far, one per draw and re-run; draws that coincide repeat the same trial."""
        return (*self._asked, *(self._reruns or ()))

    def ask(self) -> list[TrialSpec]:
        """The trials that can start now; none while the search waits for results, or when it is done."""
        if self._reruns is not None:
            return []
        new = []
        while len(self._asked) < self._plan.tuning.trials and (not self._open or self._parallel):
            trial = self._study.ask(fixed_distributions=self._distributions)
            searched = {key: trial.params[key] for key in active(self._plan.search_space, trial.params)}
            spec = self._spec(searched, SEARCH_STRIDE * self._search, trial.number)
            self._asked.append(spec)
            if spec.id in self._results:
                self._tell_optuna(trial, self._results[spec.id])
                continue
            if spec.id not in self._open:
                new.append(spec)
            self._open.setdefault(spec.id, []).append(trial)
        if not new and not self._open and len(self._asked) == self._plan.tuning.trials:
            new = self._reruns = self._plan_reruns()
        return new

    @property
    def _parallel(self) -> bool:
        # Model-based sampling and pruning depend on the order of results; one trial at a time is repeatable.
        return self._plan.tuning.sampler != "tpe" and self._plan.tuning.pruner == "none"

    def report(self, spec: TrialSpec, record: EpochRecord) -> Order:
        """Record an epoch of a search trial, and answer it."""
        for trial in self._open.get(spec.id, [])[:1]:
            # A retried trial reports its first epochs again.
            if record.epoch not in self._reported(trial):
                trial.report(record.validation_accuracy_percent, record.epoch)
            if self._plan.tuning.pruner != "none" and record.epoch < spec.config.train.epochs and trial.should_prune():
                return "prune"
        return "go"

    def _reported(self, trial: optuna.Trial) -> Mapping[int, float]:
        """Reported validation accuracies of a trial, by epoch."""
        return self._study.get_trials(deepcopy=False)[trial.number].intermediate_values

    def tell(self, result: TrialResult) -> None:
        """Take in the result of a trial."""
        self._results[result.trial_id] = result
        for trial in self._open.pop(result.trial_id, []):
            self._tell_optuna(trial, result)

    def _tell_optuna(self, trial: optuna.Trial, result: TrialResult) -> None:
        # A recorded trial has reported nothing in this run, but pruner and sampler look at every epoch.
        reported = self._reported(trial)
        for record in result.epochs:
            if record.epoch not in reported:
                trial.report(record.validation_accuracy_percent, record.epoch)
        if result.status == "finished" and result.last is not None:
            self._study.tell(trial, result.last.validation_accuracy_percent)
        else:
            # Not FAIL, which samplers ignore: the model would go there again, and the Sobol sequence would restart.
            self._study.tell(trial, state=TrialState.PRUNED)

    @property
    def done(self) -> bool:
        """Whether every tuning trial of the variant has a result."""
        return self._reruns is not None and all(spec.id in self._results for spec in self._reruns)

    @property
    def winner(self) -> dict[str, Any] | None:
        """The chosen values; None when every trial failed.

        Raises:
            RuntimeError: tuning is not done.
        """
        if not self.done or self._reruns is None:
            raise RuntimeError(f"search {self._search} of {self._variant} is not done")
        best = self._best(1)
        if not self._reruns:
            return best[0].hyperparameters if best else None
        by_number: dict[int, list[float]] = {}
        for spec in self._reruns:
            last = self._results[spec.id].last
            finished = self._results[spec.id].status == "finished" and last is not None
            # A configuration that diverges on a fresh seed must not win by its other seeds.
            score = last.validation_accuracy_percent if finished and last is not None else 0.0
            by_number.setdefault(spec.number or 0, []).append(score)
        order = {spec.number: place for place, spec in enumerate(self._best(self._plan.tuning.num_rerun))}
        chosen = max(by_number, key=lambda number: (mean(by_number[number]), -order[number]))
        return next(spec.hyperparameters for spec in self._asked if spec.number == chosen)

    def _plan_reruns(self) -> list[TrialSpec]:
        best, seeds = self._best(self._plan.tuning.num_rerun), self._plan.rerun_seeds(self._search)
        return [self._spec(spec.hyperparameters, seed, spec.number) for seed in seeds for spec in best]

    def _best(self, count: int) -> Sequence[TrialSpec]:
        """The search trials with the highest validation accuracy; among equals the lower loss, then the earlier."""

        def rank(spec: TrialSpec) -> tuple[float, float, int]:
            last = self._results[spec.id].last
            if last is None:
                raise AssertionError("only finished trials are ranked")
            return (-last.validation_accuracy_percent, last.validation_loss, spec.number or 0)

        distinct = {spec.id: spec for spec in reversed(self._asked)}
        return sorted((s for s in distinct.values() if self._results[s.id].status == "finished"), key=rank)[:count]

    def _spec(self, values: dict[str, Any], seed: int, number: int | None) -> TrialSpec:
        return self._plan.trial(self._variant, "tune", seed, values, number)


def write_storage(plan: Plan, trials: Iterable[RecordedTrial], path: Path) -> None:
    """Write a study's recorded search to an Optuna database, replacing an existing one: one Optuna study per search of a variant.

    It is for other programs, such as optuna-dashboard. The suite itself never reads it.

    Args:
        plan: of the study.
        trials: its recorded trials; trials of the confirm phase are left out.
        path: of the database.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_suffix(".part")
    # SQLAlchemy would read a '?' or a %20 in the given folder's name as another path.
    with tempfile.TemporaryDirectory(prefix="ablations-") as name:
        database = Path(name) / path.name
        _write_studies(plan, trials, database)
        shutil.copyfile(database, part)
    part.replace(path)


def _write_studies(plan: Plan, trials: Iterable[RecordedTrial], database: Path) -> None:
    storage = optuna.storages.RDBStorage(f"sqlite:///{database}")
    distributions = {key: _distribution(value) for key, value in plan.search_space.items()}
    searches: dict[tuple[str, int], list[RecordedTrial]] = {
        (variant.name, search): []
        for variant, search in product(plan.variants, plan.searches_between(0, len(plan.seeds)))
    }
    chosen: dict[tuple[str, int], dict[str, Any]] = {}
    for trial in trials:
        if trial.phase == "tune":
            searches[trial.variant, search_of_tuning(trial.seed)].append(trial)
        elif trial.phase == "confirm" and trial.seed in plan.seeds:
            # A confirmation has the values that its search chose.
            chosen[trial.variant, plan.search_of(trial.seed)] = trial.hyperparameters
    for (variant, search), tried in searches.items():
        name = f"{plan.study}/{plan.profile}/{variant}" + (f"/search {search}" if search else "")
        with _quiet():
            study = optuna.create_study(storage=storage, study_name=name, direction="maximize")
            study.set_metric_names(["validation_accuracy_percent"])
        values = chosen.get((variant, search))
        if values is not None:
            study.set_user_attr("chosen", values)
        for trial in tried:
            study.add_trial(_frozen_trial(trial, distributions, trial.hyperparameters == values))
    storage.engine.dispose()


_STATES = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}


def _frozen_trial(
    trial: RecordedTrial, distributions: Mapping[str, BaseDistribution], chosen: bool
) -> optuna.trial.FrozenTrial:
    result, last = trial.result, trial.result.last
    frozen = optuna.trial.create_trial(
        state=_STATES[result.status],
        value=last.validation_accuracy_percent if last and result.status == "finished" else None,
        params=trial.hyperparameters,
        distributions={key: distributions[key] for key in trial.hyperparameters},
        intermediate_values={record.epoch: record.validation_accuracy_percent for record in result.epochs},
        # Re-runs have the numbers of their configurations, but other seeds.
        user_attrs={
            "number": trial.number,
            "seed": trial.seed,
            "is_rerun": is_rerun(trial.seed),
            "chosen": chosen,
            "status": result.status,
            "run_id": trial.run_id,
        },
    )
    # Optuna would set the time of the export.
    if trial.started_ms is not None and trial.ended_ms is not None:
        frozen.datetime_start, frozen.datetime_complete = map(_local_time, (trial.started_ms, trial.ended_ms))
    return frozen


def _local_time(time_ms: int) -> datetime:
    """A time as Optuna has it: of this machine's zone, without naming it."""
    return datetime.fromtimestamp(time_ms / 1000)  # noqa: DTZ006


@contextmanager
def _quiet() -> Iterator[None]:
    """Let Optuna create studies without messages of its own; tests check the parts that it calls experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)


def _sampler(plan: Plan, search: int) -> optuna.samplers.BaseSampler:
    # Without the variant's name: every variant gets the same draws.
    seed = derive("sampler", plan.tuning.seed, *([search] if search else [])) % 2**32
    match plan.tuning.sampler:
        case "qmc":
            return optuna.samplers.QMCSampler(
                qmc_type="sobol",
                scramble=True,
                seed=seed,
                independent_sampler=optuna.samplers.RandomSampler(seed=seed),
                warn_independent_sampling=False,
            )
        case "random":
            return optuna.samplers.RandomSampler(seed=seed)
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed)


def _pruner(plan: Plan) -> optuna.pruners.BasePruner:
    if plan.tuning.pruner == "median":
        # Epochs count from 1: a first epoch says little, so it stops nothing.
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2)
    return optuna.pruners.NopPruner()


def _distribution(distribution: Distribution) -> BaseDistribution:
    match distribution:
        case FloatDistribution():
            return optuna.distributions.FloatDistribution(distribution.low, distribution.high, log=distribution.log)
        case IntDistribution():
            return optuna.distributions.IntDistribution(distribution.low, distribution.high, log=distribution.log)
        case CategoricalDistribution():
            return optuna.distributions.CategoricalDistribution(distribution.choices)
