"""Takes the looks of a run: after each it asks for the seeds of the next one, of open contrasts only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from ablations.analysis.learning import guess_percent
from ablations.analysis.looks import LooksNow, TakenLook, look_record, looks_now
from ablations.analysis.standing import standing_of
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan
from ablations.ports import Searched, Step
from ablations.stats.guessing import learned_percent
from ablations.trial import RecordedTrial, TrialResult, TrialSpec


class Book(Protocol):
    """Keeps what studies planned and looked at."""

    @property
    def ledgers(self) -> Sequence[Ledger]:
        """Of all studies in the store, this one first."""

    def keep(self, ledger: Ledger) -> None:
        """Record rules of the verdicts, or looks."""

    def known(self, spec: TrialSpec) -> TrialResult | None:
        """The recorded result of a trial under its variant's labels; None if there is none."""


class Watcher(Protocol):
    """Hears of looks."""

    def warn(self, text: str) -> None:
        """The plan takes verdicts away."""

    def needs(self, num_seeds: Mapping[str, int], num_examinations: Mapping[str, int]) -> None:
        """Number of seeds of each variant that are needed now, and of its trials in the cross-examination."""

    def looked(self, look: TakenLook) -> None:
        """A look was taken."""


class Looking:
    """The confirmations of one run of a study."""

    def __init__(self, plan: Plan, book: Book, watcher: Watcher, *, futility: bool, is_warned: bool = False) -> None:
        """Look at nothing yet.

        Args:
            plan: of the study.
            book: keeps the rules of the verdicts, and the looks.
            watcher: hears of them.
            futility: whether a contrast that is unlikely to get a word gets no more seeds.
            is_warned: whether somebody has warned already of all that is known before tuning.
        """
        self._plan = plan
        self._book = book
        self._watcher = watcher
        self._futility = futility
        self._is_warned = is_warned
        self._tuned: dict[Searched, Mapping[str, Any]] = {}
        """Chosen values of each search that is done."""
        self._specs: dict[tuple[str, int], TrialSpec] = {}
        """All that may be needed at these values, by variant and seed."""
        self._told: set[tuple[int, tuple[str, ...]]] = set()
        self._has_begun = False

    def tuned(self, values: Mapping[Searched, Mapping[str, Any] | None]) -> list[str]:
        """Searches are done; ids of all trials that may be needed. The first time it fixes the rules of the verdicts."""
        plan = self._plan
        # If every trial of a search failed, the variant is confirmed at the base's values: its failure is then an outcome.
        self._tuned = {each: chosen or {} for each, chosen in values.items()}
        names = [variant.name for variant in plan.variants]
        for cell in plan.confirmations(dict.fromkeys(names, len(plan.seeds))):
            search = cell.variant, plan.search_of(cell.seed)
            if search in self._tuned:
                self._specs[cell.variant, cell.seed] = plan.trial(
                    cell.variant, "confirm", cell.seed, self._tuned[search]
                )
        if not self._has_begun:
            self._has_begun = True
            self._fix_rules()
        return [spec.id for spec in (*self._specs.values(), *self._examinations())]

    def _examinations(self) -> list[TrialSpec]:
        return self._plan.examinations(self._first_tuned)

    @property
    def _first_tuned(self) -> dict[str, Mapping[str, Any]]:
        """Values that each variant's first search chose."""
        return {name: values for (name, search), values in self._tuned.items() if search == self._plan.first_search}

    def _fix_rules(self) -> None:
        """Record the rules of the verdicts before the first confirmation."""
        plan, standing = self._plan, self._now({}).standing
        told = standing_of(plan, plan.contrasts(), self._book.ledgers).unplanned.values() if self._is_warned else ()
        for text in dict.fromkeys(why for why in standing.unplanned.values() if why not in told):
            names = [name for name, why in standing.unplanned.items() if why == text]
            self._watcher.warn(f"no verdict on {', '.join(names)}: {text}")
        if not standing.is_frozen and standing.contrasts and not standing.reason:
            # Looks of older versions stand alone. What was added after one stays unplanned.
            planned = tuple(each for each in standing.contrasts if each.variant not in standing.unplanned)
            self._book.keep(Ledger(plan.study, plan.profile, frozen=(plan.frozen(planned),)))

    def next(self, results: Mapping[str, TrialResult]) -> Step:
        """The searches, or else the trials, for the next look of open contrasts; none if nothing is open."""
        plan = self._plan
        if not self._has_begun:
            return Step(searches=self._untuned(dict.fromkeys((v.name for v in plan.variants), plan.looks[0])))
        now = self._now(results)
        needed = self._with_recorded(now.needed)
        if not self._missing(needed, results):
            # A run before this one may have recorded more than this one asks for. A report sees those trials, too.
            known = {spec.id: known for spec in self._specs.values() if (known := self._book.known(spec)) is not None}
            now = self._now({**known, **results})
            needed = self._with_recorded(now.needed)
        self._watcher.needs(needed, Counter(spec.variant for spec in self._examinations()))
        # The only look of a run is its report.
        for look in now.taken if len(self._plan.looks) > 1 else ():
            key = look.number, tuple(look.judgements)
            if key not in self._told:
                self._told.add(key)
                self._watcher.looked(look)
                record = look_record(self._plan, look, now.standing)
                self._book.keep(Ledger(self._plan.study, self._plan.profile, looks=(record,)))
        if searches := self._untuned(needed):
            return Step(searches=searches)
        trials = self._missing(needed, results) or [spec for spec in self._examinations() if spec.id not in results]
        return Step(trials=tuple(trials))

    def _missing(self, num_seeds: Mapping[str, int], results: Mapping[str, TrialResult]) -> list[TrialSpec]:
        """Trials of searches that are done without a result, seed by seed: if the budget runs out, all variants are about equally far."""
        places = ((cell.variant, cell.seed) for cell in self._plan.confirmations(num_seeds))
        specs = (self._specs[place] for place in places if place in self._specs)
        return [spec for spec in specs if spec.id not in results]

    def _with_recorded(self, num_seeds: Mapping[str, int]) -> dict[str, int]:
        """These numbers of seeds, or more if an earlier run looked at more of a plan by searches: a report sees them, too."""
        plan, needed = self._plan, dict(num_seeds)
        for ledger in self._book.ledgers if plan.is_by_search else ():
            for look in ledger.looks if (ledger.study, ledger.profile) == (plan.study, plan.profile) else ():
                count = len(look.seeds)
                if count in plan.looks and look.seeds == plan.seeds[:count]:
                    for side in {side for each in look.findings for side in self._sides(each.variant)}:
                        needed[side] = max(needed[side], count)
        return needed

    def _sides(self, name: str) -> tuple[str, ...]:
        return (name, self._plan[name].versus) if name in self._plan.contrast_names else ()

    def _untuned(self, num_seeds: Mapping[str, int]) -> tuple[Searched, ...]:
        """Searches of these numbers of seeds that are not done; those of one number side by side."""
        needed = {name: self._plan.searches_between(0, count) for name, count in num_seeds.items()}
        return tuple(
            (name, search)
            for search in self._plan.searches_between(0, max(num_seeds.values()))
            for name, searches in needed.items()
            if search in searches and (name, search) not in self._tuned
        )

    def _now(self, results: Mapping[str, TrialResult]) -> LooksNow:
        plan = self._plan
        trials: dict[str, list[RecordedTrial]] = {variant.name: [] for variant in plan.variants}
        for spec in self._specs.values():
            if spec.id in results:
                trials[spec.variant].append(_recorded(plan, spec, results[spec.id]))
        bar = learned_percent(guess_percent(plan, [trial for each in trials.values() for trial in each]))
        return looks_now(plan, trials, bar, self._book.ledgers, tuned=self._first_tuned, futility=self._futility)


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
