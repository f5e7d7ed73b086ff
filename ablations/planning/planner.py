"""Planner: StudySpec + profile + machine -> Plan, every variant resolved, matched and priced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ablations.errors import CostError, Problems, SpecError
from ablations.planning.axes import Candidate, candidates
from ablations.planning.match import check_target, matching_width, price
from ablations.planning.plan import Plan, PlannedVariant
from ablations.planning.search import Search, resolve_search
from ablations.planning.settings import Settings, scientific
from ablations.planning.trainable import check_trainable
from ablations.studyfile.spec import MIN_SEARCHES, StudySpec
from ablations.text import nearest, plural, shown
from ablations.trial import TRAINING_VERSION, Machine, TrialConfig, content_hash

FIRST_AA_SEED = 1000
"""First seed of the A/A arm, beyond the seeds of any look."""
MAX_SEEDS = 1000
"""Seeds of a look, with `first_seed`: confirmation seeds stay below the A/A arm's."""
MAX_TRIALS = 100_000
"""Trials of one study at one profile; more is a slip of the keyboard."""
MAX_PRICED = 10_000
"""Networks of a search space, over all variants, to price while planning."""


def make_plan(spec: StudySpec, profile: str, machine: Machine) -> Plan:
    """Resolve a study at one profile.

    Args:
        spec: the study.
        profile: one of its profiles.
        machine: the machine to train on.

    Raises:
        SpecError: there is no such profile, or the resolved study breaks rules: unknown dotted keys, impossible networks,
            unreachable costs of a match, a profile that changes the question. It has all errors at this profile; those
            that follow from others are left out.
    """
    if profile not in spec.profiles:
        raise SpecError(("profiles",), f"no profile {shown(profile)}; {nearest(profile, spec.profiles)}", at_key=True)
    problems = Problems()
    settings = Settings(spec, profile, machine)
    asked = candidates(spec, problems)
    base = rest = _base(settings, problems)
    if base is None:
        settings = replace(settings, left_out=frozenset(each.path for each in problems))
        rest = _base(settings, Problems())
    with problems.caught():
        _check_baseline(spec)
    with problems.caught():
        settings.refuse_unknown_stand_ins()
    with problems.caught():
        settings.check_question(asked.values())
    looks: tuple[int, ...] = (0,)
    with problems.caught():
        looks = _looks(settings)
    search = resolve_search(settings, base, scientific(asked.values()), problems)
    if search.space and looks[-1]:
        with problems.caught():
            _check_searches(looks, search, settings)
    with problems.caught():
        _refuse_too_many_trials(len(asked), search, looks[-1], settings)
        variants = _plan_variants(asked, settings, rest, search, found := Problems())
        for each in found:
            # The costs of a wrong base say nothing.
            if base or not isinstance(each, CostError):
                problems.add(each)
    problems.raise_any()
    ordered = [spec.baseline, *(name for name in asked if name in variants and name != spec.baseline)]
    return Plan(
        study=spec.study,
        question=spec.question,
        source=spec.source,
        profile=profile,
        profile_description=settings.scale.description,
        profile_cost=settings.scale.cost,
        baseline=spec.baseline,
        variants=tuple(variants[name] for name in ordered),
        search_space=search.space,
        tuning=search.tuning,
        seeds=tuple(range(spec.first_seed, spec.first_seed + looks[-1])),
        aa_seeds=tuple(range(FIRST_AA_SEED, FIRST_AA_SEED + looks[-1])) if spec.aa_arm else (),
        looks=looks,
        decision=spec.decision,
        data=settings.base.data,
        data_checksum=settings.dataset.checksum,
        num_test=settings.dataset.num_test,
        device=machine.device,
        cross_examine=spec.cross_examine,
        caveats=settings.caveats,
    )


def _base(settings: Settings, problems: Problems) -> TrialConfig | None:
    try:
        return settings.base
    except SpecError as error:
        problems.add(error)
        return None


def _check_baseline(spec: StudySpec) -> None:
    variant = spec.variants[spec.baseline]
    problems = Problems()
    for key, value in (("versus", variant.versus), ("expect", variant.expect)):
        if value is not None:
            problem = "the baseline is compared with no other variant; remove this key."
            problems.add(SpecError(("variants", spec.baseline, key), problem, at_key=True))
    problems.raise_any()


def _looks(settings: Settings) -> tuple[int, ...]:
    """Numbers of seeds at the profile's planned looks."""
    spec, scale = settings.spec, settings.scale
    looks = tuple(scale.looks or (scale.seeds or spec.seeds,))
    if spec.first_seed + looks[-1] > MAX_SEEDS:
        raise SpecError(
            settings.profile_path,
            f"first_seed plus the seeds of a look must be at most {MAX_SEEDS:,}; given {spec.first_seed:,} and {looks[-1]:,}.",
            at_key=True,
        )
    return looks


def _check_searches(looks: tuple[int, ...], search: Search, settings: Settings) -> None:
    """Refuse looks that would cut a search in two, or have too few of them."""
    num_searches = search.tuning.searches
    if num_searches == 1:
        return
    each, rest = divmod(looks[-1], num_searches)
    if rest or not each:
        raise SpecError(
            settings.profile_path,
            f"the {plural(looks[-1], 'seed')} must divide into the {num_searches} searches of tuning.searches; use {num_searches * (each + 1)} "
            f"seeds, or another number of searches.",
            at_key=True,
        )
    cut = [look for look in looks if look % each]
    if cut or looks[0] < MIN_SEARCHES * each:
        numbers = sorted({*(number for number in (5, 8, 12) if number < num_searches), num_searches})
        example = ", ".join(str(each * number) for number in numbers)
        raise SpecError(
            settings.profile_path,
            f"{plural(looks[-1], 'seed')} in {num_searches} searches are {each} for each search, so every look must have a multiple of {each} "
            f"seeds, from {MIN_SEARCHES * each} on, such as [{example}]; given {list(looks)}.",
            at_key=True,
        )


def _refuse_too_many_trials(num_variants: int, search: Search, num_seeds: int, settings: Settings) -> None:
    num_tune = search.tuning.num_trials * search.tuning.searches if search.space else 0
    count = num_variants * (num_tune + num_seeds)
    if count > MAX_TRIALS:
        raise SpecError(
            settings.profile_path,
            f"{num_variants:,} variants x ({num_tune:,} tuning trials + {num_seeds:,} seeds) are {count:,} trainings; at most "
            f"{MAX_TRIALS:,} are allowed.",
            at_key=True,
        )


def _plan_variants(
    asked: Mapping[str, Candidate], settings: Settings, base: TrialConfig | None, search: Search, problems: Problems
) -> dict[str, PlannedVariant]:
    """Every variant by name, without points of an axis equal to another variant; `problems` receives errors.

    Without a base, since that has errors, only errors of the variants' own keys are found.
    """
    count = len(asked) * len(search.points_to_check)
    if count > MAX_PRICED:
        raise SpecError(
            search.path,
            f"{len(asked):,} variants x {len(search.points_to_check):,} values of searched dials are {count:,} networks to price; at most "
            f"{MAX_PRICED:,} are allowed.",
            at_key=True,
        )
    planned: dict[str, PlannedVariant] = {}
    twins: dict[TrialConfig, str] = {}
    matchable = {name for name, each in asked.items() if each.variant.match is None}
    # Matched variants last: they need the costs of the variants they match.
    for candidate in sorted(asked.values(), key=lambda each: each.variant.match is not None):
        versus = settings.spec.baseline
        with problems.caught():
            versus = _versus(candidate.name, asked, settings.spec.baseline)
        with problems.caught():
            if candidate.variant.match:
                check_target(candidate.variant.match, matchable, ("variants", candidate.name))
        with problems.caught(below=() if base else candidate.path):
            config = settings.resolve((candidate.variant.set, candidate.path))
            changes = dict(candidate.variant.set)
            match = candidate.variant.match
            if match:
                if match.target not in planned:
                    continue  # Its own error says why.
                width = matching_width(match, config, planned[match.target].costs, ("variants", candidate.name))
                config = config.with_values({match.by: width})
                changes[match.by] = width
            if twins.setdefault(config, candidate.name) != candidate.name:
                matchable.discard(candidate.name)
                _refuse_twin(candidate, twins[config])
                continue
            own = (changes, candidate.path)
            costs = price(config, candidate.path)
            check_trainable(config, settings, own)
            for key, point in search.points_to_check:
                layers = own, (point, search.path)
                searched = settings.resolve(*layers)
                price(searched, (*search.path, key))
                check_trainable(searched, settings, *layers)
            planned[candidate.name] = PlannedVariant(
                name=candidate.name,
                changes=changes,
                description=candidate.variant.description or _described(changes),
                called=candidate.variant.called or "",
                expect=candidate.variant.expect,
                versus=versus,
                family=candidate.variant.family,
                config=config,
                costs=costs,
                key=_key(config, settings, search),
            )
    return planned


def _key(config: TrialConfig, settings: Settings, search: Search) -> str:
    """Hash of everything behind a variant's tuned configuration."""
    return content_hash(
        {
            "config": config.to_json(),
            "search_space": {key: value.model_dump() for key, value in search.space.items()},
            "tuning": search.tuning.model_dump(exclude={"searches"} if search.tuning.searches == 1 else None),
            "data_checksum": settings.dataset.checksum,
            "device": settings.machine.device,
            "training_version": TRAINING_VERSION,
        }
    )


def _described(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in changes.items()) or "the base as it is"


def _refuse_twin(candidate: Candidate, twin: str) -> None:
    """Refuse a named variant equal to another; such a point of an axis simply does not run twice."""
    if candidate.named:
        raise SpecError(
            candidate.path[:2],
            f"has the same configuration as {twin!r}; every variant must differ from the others.",
            at_key=True,
        )


def _versus(name: str, asked: Mapping[str, Candidate], baseline: str) -> str:
    """The variant to compare this one with; comparisons lead from variant to variant to the baseline."""
    versus = asked[name].variant.versus
    if versus is None:
        return baseline
    seen = [name]
    following: str | None = versus
    while following is not None and following != baseline:
        if following not in asked or not asked[following].named:
            known = [each.name for each in asked.values() if each.named]
            raise SpecError(
                ("variants", seen[-1], "versus"),
                f"versus must name another variant; given {shown(following)}; {nearest(following, known)}",
            )
        if following in seen:
            circle = seen[seen.index(following) :]
            # Each of its members finds it; all of them name the same place.
            start = circle.index(min(circle, key=list(asked).index))
            circle = [*circle[start:], *circle[: start + 1]]
            raise SpecError(
                ("variants", circle[0], "versus"),
                f"comparisons must not form a circle; given {' -> '.join(circle)}.",
            )
        seen.append(following)
        following = asked[following].variant.versus
    return versus
