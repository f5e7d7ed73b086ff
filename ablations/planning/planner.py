"""Planner: StudySpec + profile + machine -> Plan, every variant resolved, matched and priced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.errors import KeyPath, SpecError
from ablations.planning.axes import Candidate, candidates
from ablations.planning.match import matching_width, price
from ablations.planning.plan import Plan, PlannedVariant
from ablations.planning.search import Search, resolve_search
from ablations.planning.settings import Settings
from ablations.planning.trainable import check_trainable
from ablations.studyfile.spec import StudySpec
from ablations.text import nearest, shown
from ablations.trial import TRAINING_VERSION, Machine, TrialConfig, content_hash

FIRST_AA_SEED = 1000
"""First seed of the A/A arm, beyond the seeds of any look."""
MAX_SEEDS = 1000
"""Seeds of a look, with `first_seed`: confirmation seeds stay below the A/A arm's."""
MAX_TRIALS = 100_000
"""Trials of one study at one profile; more is a slip of the keyboard."""
MAX_PRICED = 10_000
"""Networks of a search space, over all variants, to price while planning."""


def make_plan(spec: StudySpec, profile: str, machine: Machine, *, extend: bool = False) -> Plan:
    """Resolve a study at one profile.

    Args:
        spec: the study.
        profile: one of its profiles.
        machine: the machine to train on.
        extend: for the second of two planned looks.

    Raises:
        SpecError: there is no such profile, or the resolved study breaks a rule: unknown dotted keys, impossible networks,
            unreachable costs of a match, a profile that changes the question.
    """
    if profile not in spec.profiles:
        raise SpecError(("profiles",), f"no profile {shown(profile)}; {nearest(profile, spec.profiles)}", at_key=True)
    _check_baseline(spec)
    asked = candidates(spec)
    settings = Settings(spec, profile, machine)
    search = resolve_search(settings, settings.scientific(asked.values()))
    looks = _looks(settings)
    num_seeds = _num_seeds(looks, settings, extend=extend)
    _refuse_too_many_trials(len(asked), search, num_seeds, settings)
    variants = _plan_variants(asked, settings, search)
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
        seeds=tuple(range(spec.first_seed, spec.first_seed + num_seeds)),
        aa_seeds=tuple(range(FIRST_AA_SEED, FIRST_AA_SEED + num_seeds)) if spec.aa_arm else (),
        looks=looks,
        decision=spec.decision,
        data=settings.base.data,
        data_checksum=settings.dataset.checksum,
        num_test=settings.dataset.num_test,
        device=machine.device,
        caveats=settings.caveats,
    )


def _check_baseline(spec: StudySpec) -> None:
    variant = spec.variants[spec.baseline]
    for key, value in (("versus", variant.versus), ("expect", variant.expect)):
        if value is not None:
            problem = "the baseline is compared with no other variant; remove this key."
            raise SpecError(("variants", spec.baseline, key), problem, at_key=True)


def _looks(settings: Settings) -> tuple[int, ...]:
    """Numbers of seeds at the profile's planned looks."""
    spec, scale = settings.spec, settings.scale
    seeds, extended = scale.seeds or spec.seeds, scale.extend_to or spec.extend_to
    most = max(seeds, extended or 0)
    if spec.first_seed + most > MAX_SEEDS:
        raise SpecError(
            settings.profile_path,
            f"first_seed plus the seeds of a look must be at most {MAX_SEEDS:,}; given {spec.first_seed:,} and {most:,}.",
            at_key=True,
        )
    if extended is None:
        return (seeds,)
    if extended <= seeds:
        where: KeyPath = settings.profile_path if scale.extend_to else ()
        raise SpecError(
            (*where, "extend_to"),
            f"a second look must have more seeds than the first; given {extended}, and {seeds} for the first look of profile "
            f"{settings.profile}.",
        )
    return (seeds, extended)


def _num_seeds(looks: tuple[int, ...], settings: Settings, *, extend: bool) -> int:
    """Seeds of the first look, or of the second to `extend`."""
    if extend and len(looks) == 1:
        raise SpecError(
            settings.profile_path,
            "no second look is planned here. Seeds added after you have seen results prove nothing. To plan a second look, write "
            "extend_to (such as 20) beside seeds before the first look.",
            at_key=True,
        )
    return looks[-1] if extend else looks[0]


def _refuse_too_many_trials(num_variants: int, search: Search, num_seeds: int, settings: Settings) -> None:
    num_tune = search.tuning.num_trials if search.space else 0
    count = num_variants * (num_tune + num_seeds)
    if count > MAX_TRIALS:
        raise SpecError(
            settings.profile_path,
            f"{num_variants:,} variants x ({num_tune:,} tuning trials + {num_seeds:,} seeds) are {count:,} trainings; at most "
            f"{MAX_TRIALS:,} are allowed.",
            at_key=True,
        )


def _plan_variants(asked: Mapping[str, Candidate], settings: Settings, search: Search) -> dict[str, PlannedVariant]:
    """Every variant by name, without points of an axis equal to another variant."""
    count = len(asked) * len(search.points_to_check)
    if count > MAX_PRICED:
        raise SpecError(
            search.path,
            f"{len(asked):,} variants x {len(search.points_to_check):,} values of searched dials are {count:,} networks to price; at most "
            f"{MAX_PRICED:,} are allowed.",
            at_key=True,
        )
    planned: dict[str, PlannedVariant] = {}
    names: dict[TrialConfig, str] = {}
    # Matched variants last: they need the costs of the variants they match.
    for candidate in sorted(asked.values(), key=lambda each: each.variant.match is not None):
        name = candidate.name
        config, changes = _configure(candidate, settings, planned)
        if config in names:
            _refuse_twin(candidate, names[config])
            continue
        names[config] = name
        own = (changes, candidate.path)
        costs = price(config, candidate.path)
        check_trainable(config, settings, own)
        for key, point in search.points_to_check:
            layers = own, (point, search.path)
            searched = settings.resolve(*layers)
            price(searched, (*search.path, key))
            check_trainable(searched, settings, *layers)
        planned[name] = PlannedVariant(
            name=name,
            changes=changes,
            description=candidate.variant.description or _described(changes),
            expect=candidate.variant.expect,
            versus=_versus(name, asked, settings.spec.baseline),
            family=candidate.variant.family,
            config=config,
            costs=costs,
            key=_key(config, settings, search),
        )
    return planned


def _configure(
    candidate: Candidate, settings: Settings, planned: Mapping[str, PlannedVariant]
) -> tuple[TrialConfig, dict[str, Any]]:
    """A variant's configuration and its changes of the base, a matched width included."""
    variant = candidate.variant
    config = settings.resolve((variant.set, candidate.path))
    if variant.match is None:
        return config, dict(variant.set)
    width = matching_width(variant.match, config, planned, ("variants", candidate.name))
    matched: dict[str, Any] = {variant.match.by: width}
    return config.with_values(matched), variant.set | matched


def _key(config: TrialConfig, settings: Settings, search: Search) -> str:
    """Hash of everything behind a variant's tuned configuration."""
    return content_hash(
        {
            "config": config.to_json(),
            "search_space": {key: value.model_dump() for key, value in search.space.items()},
            "tuning": search.tuning.model_dump(),
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
            raise SpecError(
                ("variants", name, "versus"),
                f"comparisons must not form a circle; given {' -> '.join([*seen, following])}.",
            )
        seen.append(following)
        following = asked[following].variant.versus
    return versus
