"""Takes the looks of a run: after each it asks for the seeds of the next one, of open contrasts only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ablations.analysis.learning import guess_percent
from ablations.analysis.looks import LooksNow, TakenLook, look_record, looks_now
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan
from ablations.stats.guessing import learned_percent
from ablations.trial import RecordedTrial, TrialResult, TrialSpec


class Book(Protocol):
    """Keeps what studies planned and looked at."""

    @property
    def ledgers(self) -> Sequence[Ledger]:
        """Of all studies in the store, this one first."""

    def keep(self, ledger: Ledger) -> None:
        """Record rules of the verdicts, or looks."""


class Watcher(Protocol):
    """Hears of looks."""

    def warn(self, text: str) -> None:
        """The plan takes verdicts away."""

    def needs(self, num_seeds: Mapping[str, int]) -> None:
        """Number of seeds of each variant that are needed now."""

    def looked(self, look: TakenLook) -> None:
        """A look was taken."""


class Looking:
    """The confirmations of one run of a study."""

    def __init__(self, plan: Plan, book: Book, watcher: Watcher, *, futility: bool) -> None:
        """Look at nothing yet.

        Args:
            plan: of the study.
            book: keeps the rules of the verdicts, and the looks.
            watcher: hears of them.
            futility: whether a contrast that is unlikely to get a word gets no more seeds.
        """
        self._plan = plan
        self._book = book
        self._watcher = watcher
        self._futility = futility
        self._specs: dict[tuple[str, int], TrialSpec] = {}
        """All that may be needed, by variant and seed."""
        self._told: set[tuple[int, tuple[str, ...]]] = set()

    def begin(self, tuned: Mapping[str, Mapping[str, Any] | None]) -> list[str]:
        """Fix the rules of the verdicts before the first confirmation; ids of all trials that may be needed."""
        plan = self._plan
        # If every tuning trial failed, the variant is confirmed at the base's values: its failure is then an outcome.
        for cell in plan.confirmations(dict.fromkeys(tuned, len(plan.seeds))):
            spec = plan.trial(cell.variant, "confirm", cell.seed, tuned[cell.variant] or {})
            self._specs[cell.variant, cell.seed] = spec
        standing = self._now({}).standing
        for text in dict.fromkeys(standing.unplanned.values()):
            names = [name for name, why in standing.unplanned.items() if why == text]
            self._watcher.warn(f"no verdict on {', '.join(names)}: {text}")
        if not standing.is_frozen and standing.contrasts and not standing.reason:
            # Looks of older versions stand alone. What was added after one stays unplanned.
            planned = tuple(each for each in standing.contrasts if each.variant not in standing.unplanned)
            self._book.keep(Ledger(plan.study, plan.profile, frozen=(plan.frozen(planned),)))
        return [spec.id for spec in self._specs.values()]

    def needed(self, results: Mapping[str, TrialResult]) -> list[TrialSpec]:
        """The trials for the next look of open contrasts that have no result yet; empty if nothing is open."""
        now = self._now(results)
        self._watcher.needs(now.needed)
        # The only look of a run is its report.
        for look in now.taken if len(self._plan.looks) > 1 else ():
            key = look.number, tuple(look.judgements)
            if key not in self._told:
                self._told.add(key)
                self._watcher.looked(look)
                record = look_record(self._plan, look, now.standing)
                self._book.keep(Ledger(self._plan.study, self._plan.profile, looks=(record,)))
        # Seed by seed: if the budget runs out, all variants are about equally far.
        specs = (self._specs[cell.variant, cell.seed] for cell in self._plan.confirmations(now.needed))
        return [spec for spec in specs if spec.id not in results]

    def _now(self, results: Mapping[str, TrialResult]) -> LooksNow:
        plan = self._plan
        trials: dict[str, list[RecordedTrial]] = {variant.name: [] for variant in plan.variants}
        for spec in self._specs.values():
            if spec.id in results:
                trials[spec.variant].append(_recorded(plan, spec, results[spec.id]))
        bar = learned_percent(guess_percent(plan, [trial for each in trials.values() for trial in each]))
        tuned = {spec.variant: spec.hyperparameters for spec in self._specs.values()}
        return looks_now(plan, trials, bar, self._book.ledgers, tuned=tuned, futility=self._futility)


def _recorded(plan: Plan, spec: TrialSpec, result: TrialResult) -> RecordedTrial:
    return RecordedTrial(
        run_id="",
        variant=spec.variant,
        variant_key=plan[spec.variant].key,
        phase=spec.phase,
        seed=spec.seed,
        number=spec.number,
        hyperparameters=spec.hyperparameters,
        result=result,
    )
