"""The search of one variant's hyperparameters. The only module that imports optuna.

The search keeps no database: suggestions are a pure function of the plan and of the results told so far, in a fixed order.
Starting again replays it, and the trials it asks for are found by their ids among the recorded ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from ablations.planning.plan import SEARCH_SEED, Plan
from ablations.studyfile.distributions import (
    CategoricalDistribution,
    Distribution,
    FloatDistribution,
    IntDistribution,
    active,
)
from ablations.trial import EpochRecord, Order, RecordedTrial, TrialResult, TrialSpec, derive

optuna.logging.set_verbosity(optuna.logging.WARNING)


class VariantTuner:
    """Asks for a variant's tuning trials and learns from their results.

    First the search: start points, then the sampler's draws, all on one seed. Then the best few configurations again, on
    fresh seeds; the best mean of those wins, because the best of many draws flatters itself (winner's curse).

    Optuna draws every key every time, and what a draw's own values switch off is dropped. Asked for the active keys only, it
    would take the space of the first trials told, or the union of those under way, for the whole: the Sobol sequence would
    begin anew when another key turns up, or never hold it, and draws would depend on the order of results. TPE's joint model
    would cover only the keys that all trials have; as it is, TPE also learns from values that decided nothing, which costs it
    some draws and nothing else.
    """

    def __init__(self, plan: Plan, variant: str) -> None:
        self._plan = plan
        self._variant = variant
        self._distributions = {key: _distribution(value) for key, value in plan.search_space.items()}
        self._study = optuna.create_study(direction="maximize", sampler=_sampler(plan), pruner=_pruner(plan))
        # Keys that a start point lacks get a value, too, that is dropped again: what Optuna would draw for them comes off the
        # sequence that all other draws are taken from.
        anywhere = {key: value.probes()[0] for key, value in plan.search_space.items()}
        for point in plan.tuning.start_points or []:
            self._study.enqueue_trial({**anywhere, **point})
        self._asked: list[TrialSpec] = []
        self._open: dict[str, list[optuna.Trial]] = {}
        """Trials asked for and not yet told, by id; draws that coincide share one training."""
        self._results: dict[str, TrialResult] = {}
        self._reruns: list[TrialSpec] | None = None

    @property
    def asked(self) -> tuple[TrialSpec, ...]:
        """Every trial so far, one for each draw and re-run: draws that coincide are one trial, asked for again."""
        return (*self._asked, *(self._reruns or ()))

    def ask(self) -> list[TrialSpec]:
        """The trials that can start now, given what has been told; none while it waits, or when it is done."""
        if self._reruns is not None:
            return []
        new = []
        while len(self._asked) < self._plan.tuning.trials and (not self._open or self._parallel):
            trial = self._study.ask(fixed_distributions=self._distributions)
            searched = {key: trial.params[key] for key in active(self._plan.search_space, trial.params)}
            spec = self._spec(searched, SEARCH_SEED, trial.number)
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
        # What the model-based sampler and the pruner do depends on the order of results; one at a time it is repeatable.
        return self._plan.tuning.sampler != "tpe" and self._plan.tuning.pruner == "none"

    def report(self, spec: TrialSpec, record: EpochRecord) -> Order:
        """What a search trial should do after an epoch."""
        for trial in self._open.get(spec.id, [])[:1]:
            # A trial that failed and is tried again tells its first epochs again.
            if record.epoch not in self._reported(trial):
                trial.report(record.validation_accuracy_percent, record.epoch)
            if self._plan.tuning.pruner != "none" and record.epoch < spec.config.train.epochs and trial.should_prune():
                return "prune"
        return "go"

    def _reported(self, trial: optuna.Trial) -> Mapping[int, float]:
        """What a trial has reported, by epoch."""
        return self._study.get_trials(deepcopy=False)[trial.number].intermediate_values

    def tell(self, result: TrialResult) -> None:
        """Take in how one of the trials asked for ended."""
        self._results[result.trial_id] = result
        for trial in self._open.pop(result.trial_id, []):
            self._tell_optuna(trial, result)

    def _tell_optuna(self, trial: optuna.Trial, result: TrialResult) -> None:
        # A recorded trial has reported nothing in this run; pruner and sampler look at every epoch.
        reported = self._reported(trial)
        for record in result.epochs:
            if record.epoch not in reported:
                trial.report(record.validation_accuracy_percent, record.epoch)
        if result.status == "finished" and result.last is not None:
            self._study.tell(trial, result.last.validation_accuracy_percent)
        else:
            # Not FAIL, which samplers do not see: the model would go there again, and the Sobol sequence begin anew.
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
            raise RuntimeError(f"the tuning of {self._variant} is not done")
        best = self._best(1)
        if not self._reruns:
            return best[0].hyperparameters if best else None
        by_number: dict[int, list[float]] = {}
        for spec in self._reruns:
            last = self._results[spec.id].last
            finished = self._results[spec.id].status == "finished" and last is not None
            # A configuration that diverges on a fresh seed must not win by the seeds that remain.
            score = last.validation_accuracy_percent if finished and last is not None else 0.0
            by_number.setdefault(spec.number or 0, []).append(score)
        order = {spec.number: place for place, spec in enumerate(self._best(self._plan.tuning.num_rerun))}
        chosen = max(by_number, key=lambda number: (mean(by_number[number]), -order[number]))
        return next(spec.hyperparameters for spec in self._asked if spec.number == chosen)

    def _plan_reruns(self) -> list[TrialSpec]:
        best = self._best(self._plan.tuning.num_rerun)
        return [self._spec(spec.hyperparameters, seed, spec.number) for seed in self._plan.rerun_seeds for spec in best]

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
    """Write a study's recorded search to a database of Optuna's, in place of one that is there: an Optuna study a variant.

    It is for other programs, such as optuna-dashboard. The suite itself keeps none, and reads none.

    Args:
        plan: of the study.
        trials: its recorded ones; those of the confirm phase are left out.
        path: of the database.

    Raises:
        OSError: it cannot be written.
    """
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    storage = optuna.storages.RDBStorage(f"sqlite:///{part}")
    distributions = {key: _distribution(value) for key, value in plan.search_space.items()}
    studies = {
        variant.name: optuna.create_study(
            storage=storage, study_name=f"{plan.study}/{plan.profile}/{variant.name}", direction="maximize"
        )
        for variant in plan.variants
    }
    for trial in trials:
        if trial.phase == "tune":
            studies[trial.variant].add_trial(_frozen_trial(trial, distributions))
    storage.engine.dispose()
    part.replace(path)


_STATES = {
    "finished": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "diverged": TrialState.FAIL,
    "failed": TrialState.FAIL,
}


def _frozen_trial(trial: RecordedTrial, distributions: Mapping[str, BaseDistribution]) -> optuna.trial.FrozenTrial:
    last = trial.result.last
    return optuna.trial.create_trial(
        state=_STATES[trial.result.status],
        value=last.validation_accuracy_percent if last and trial.result.status == "finished" else None,
        params=trial.hyperparameters,
        distributions={key: distributions[key] for key in trial.hyperparameters},
        intermediate_values={record.epoch: record.validation_accuracy_percent for record in trial.result.epochs},
        # Re-runs of the best have the numbers of their configurations, and other seeds.
        user_attrs={"number": trial.number, "seed": trial.seed, "status": trial.result.status, "run_id": trial.run_id},
    )


def _sampler(plan: Plan) -> optuna.samplers.BaseSampler:
    # Not the variant's name: every variant is offered the same draws.
    seed = derive("sampler", plan.tuning.seed) % 2**32
    match plan.tuning.sampler:
        case "qmc":
            # Optuna calls it experimental; the tests hold it to what the search needs of it.
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
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
        # Epochs count from 1: a first epoch, which says little, stops nothing.
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
