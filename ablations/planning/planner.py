"""StudySpec + profile + machine -> Plan: every variant resolved, matched and priced."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ablations.datasets import DATASETS
from ablations.errors import KeyPath, SpecError
from ablations.planning.axes import Candidate, candidates
from ablations.planning.match import matched, price
from ablations.planning.plan import Plan, PlannedVariant
from ablations.planning.search import check_search_space, probe_points, resolved_tuning, sets_dials
from ablations.planning.settings import Settings
from ablations.studyfile.spec import StudySpec, Tuning
from ablations.text import nearest, shown
from ablations.trial import TRAINING_VERSION, Machine, TrialConfig, content_hash

FIRST_AA_SEED = 1000
"""The A/A arm's seeds begin here, beyond those of any look."""


MAX_SEEDS = 1000
"""Of a look: the confirmation seeds 0, 1, … stay below the A/A arm's."""


MAX_TRIALS = 100_000
"""Of one study at one profile; more is a slip of the keyboard."""


MAX_TRIED = 10_000
"""Networks of a search space, over all variants, that are priced while planning."""


def make_plan(spec: StudySpec, profile: str, machine: Machine, *, extend: bool = False) -> Plan:
    """Resolve a study at one profile.

    Args:
        spec: the study.
        profile: one of its profiles.
        machine: what it will run on.
        extend: for the second of two planned looks.

    Raises:
        SpecError: the profile is not there, or the study breaks a rule that shows only once resolved: unknown dotted keys,
            networks that cannot exist, costs that cannot be matched, a profile that changes the question.
    """
    if profile not in spec.profiles:
        raise SpecError(("profiles",), f"no profile {shown(profile)}; {nearest(profile, spec.profiles)}", at_key=True)
    _check_baseline(spec)
    asked = candidates(spec)
    settings = Settings(spec, profile, machine)
    chosen = spec.profiles[profile]
    scientific = settings.scientific(asked.values())
    base = settings.resolve()
    dataset = DATASETS[base.data.name]
    search_space = spec.search_space if chosen.search_space is None else chosen.search_space
    at: KeyPath = ("search_space",) if chosen.search_space is None else ("profiles", profile, "search_space")
    check_search_space(search_space, at, scientific, settings)
    tuning = resolved_tuning(spec, profile, base, search_space, at)
    looks = _looks(spec, profile)
    if extend and len(looks) == 1:
        raise SpecError(
            ("profiles", profile),
            "no second look is planned here. Seeds that are added after looking at results prove nothing: to plan one, write "
            "extend_to (such as 20) beside seeds before the first look.",
            at_key=True,
        )
    num_seeds = looks[-1] if extend else looks[0]
    _refuse_too_many(len(asked), tuning if search_space else None, num_seeds, ("profiles", profile))

    tried = [(key, point) for key in search_space for point in probe_points(search_space, key) if sets_dials(point)]
    if len(asked) * len(tried) > MAX_TRIED:
        raise SpecError(
            at,
            f"{len(asked):,} variants x {len(tried):,} values of searched dials are more than {MAX_TRIED:,} networks to price.",
            at_key=True,
        )
    variants: dict[str, PlannedVariant] = {}
    names: dict[TrialConfig, str] = {}
    # Matched variants last: they need the costs of the ones they are matched with.
    for candidate in sorted(asked.values(), key=lambda each: each.variant.match is not None):
        name, variant, path = candidate.name, candidate.variant, candidate.path
        config = settings.resolve((variant.set, path))
        changes = dict(variant.set)
        if variant.match is not None:
            config, width = matched(variant.match, config, variants, ("variants", name))
            changes[variant.match.by] = width
        if config in names:
            _refuse_twin(candidate, names[config])
            continue
        names[config] = name
        priced = price(config, path)
        for key, point in tried:
            searched = settings.resolve((changes, path), (point, at))
            price(searched, (*at, key))
        variants[name] = PlannedVariant(
            name=name,
            changes=changes,
            description=variant.description or _described(changes),
            expect=variant.expect,
            versus=_versus(name, asked, spec.baseline),
            family=variant.family,
            config=config,
            costs=priced,
            key=content_hash(
                {
                    "config": config.to_json(),
                    "search_space": {key: value.model_dump() for key, value in search_space.items()},
                    "tuning": tuning.model_dump(),
                    "data_checksum": dataset.checksum,
                    "device": machine.device,
                    "training_version": TRAINING_VERSION,
                }
            ),
        )
    ordered = [spec.baseline, *(name for name in asked if name in variants and name != spec.baseline)]
    return Plan(
        study=spec.study,
        question=spec.question,
        source=spec.source,
        profile=profile,
        profile_description=chosen.description,
        profile_cost=chosen.cost,
        baseline=spec.baseline,
        variants=tuple(variants[name] for name in ordered),
        search_space=search_space,
        tuning=tuning,
        seeds=tuple(range(spec.first_seed, spec.first_seed + num_seeds)),
        aa_seeds=tuple(range(FIRST_AA_SEED, FIRST_AA_SEED + num_seeds)) if spec.aa_arm else (),
        looks=looks,
        decision=spec.decision,
        data=base.data,
        data_checksum=dataset.checksum,
        num_test=dataset.num_test,
        device=machine.device,
        caveats=settings.caveats(base),
    )


def _looks(spec: StudySpec, profile: str) -> tuple[int, ...]:
    """Numbers of seeds at which a profile looks at its results."""
    chosen = spec.profiles[profile]
    seeds, extended = chosen.seeds or spec.seeds, chosen.extend_to or spec.extend_to
    most = max(seeds, extended or 0)
    if spec.first_seed + most > MAX_SEEDS:
        raise SpecError(
            ("profiles", profile),
            f"first_seed and the seeds of a look are at most {MAX_SEEDS:,} together; given {spec.first_seed:,} and {most:,}.",
            at_key=True,
        )
    if extended is None:
        return (seeds,)
    if extended <= seeds:
        where: KeyPath = ("profiles", profile) if chosen.extend_to else ()
        raise SpecError(
            (*where, "extend_to"),
            f"a second look has more seeds than the first; given {extended}, and {seeds} for the first look of profile "
            f"{profile}.",
        )
    return (seeds, extended)


def _refuse_too_many(num_variants: int, tuning: Tuning | None, num_seeds: int, path: KeyPath) -> None:
    tune = tuning.num_trials if tuning else 0
    count = num_variants * (tune + num_seeds)
    if count > MAX_TRIALS:
        raise SpecError(
            path,
            f"{num_variants:,} variants x ({tune:,} tuning trials + {num_seeds:,} seeds) are {count:,} trainings; at most "
            f"{MAX_TRIALS:,} are run.",
            at_key=True,
        )


def _described(changes: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} = {value}" for key, value in changes.items()) or "the base as it is"


def _refuse_twin(candidate: Candidate, twin: str) -> None:
    """A named variant differs from the others; a point of an axis that does not is simply not run twice."""
    if candidate.named:
        raise SpecError(
            candidate.path[:2],
            f"the same configuration as {twin!r}; every variant differs from the others.",
            at_key=True,
        )


def _check_baseline(spec: StudySpec) -> None:
    variant = spec.variants[spec.baseline]
    for key, value in (("versus", variant.versus), ("expect", variant.expect)):
        if value is not None:
            problem = "the baseline is compared with nothing; take this key out."
            raise SpecError(("variants", spec.baseline, key), problem, at_key=True)


def _versus(name: str, asked: Mapping[str, Candidate], baseline: str) -> str:
    """What a variant is compared with; following it from variant to variant ends at the baseline."""
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
                f"versus names another variant; given {shown(following)}; {nearest(following, known)}",
            )
        if following in seen:
            raise SpecError(("variants", name, "versus"), f"goes in a circle: {' -> '.join([*seen, following])}.")
        seen.append(following)
        following = asked[following].variant.versus
    return versus
