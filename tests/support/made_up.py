"""Made-up studies: summaries as `analysis.summarize` returns them, without training anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import tiny

from ablations.analysis.contrasts import curve_differences, detectable, p_bad, p_failures
from ablations.analysis.summary import (
    AACheck,
    AtValues,
    ClassDifference,
    Contrast,
    Course,
    Curve,
    Examination,
    LookPoint,
    Role,
    SharedStudy,
    StudySummary,
    TuningPoint,
    VariantSummary,
)
from ablations.analysis.variants import best_of_n
from ablations.costs import Workload
from ablations.stats.budget import Budget
from ablations.stats.components import noise
from ablations.stats.intervals import Interval
from ablations.stats.judgement import Judgement, PairedSample
from ablations.stats.sentences import paragraph
from ablations.stats.verdicts import judge, judge_without_each_unit
from ablations.studyfile.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    SearchSpace,
    active,
)
from ablations.studyfile.spec import Decision, Expectation
from ablations.trial import EpochRecord
from nin.presets import INPUTS, PRESETS

WORKLOAD = Workload(
    PRESETS["nin_small"],
    **asdict(INPUTS["nin_small"]),
    batch_size=32,
    precision="bf16",
    optimizer="sgd_momentum",
    device="cpu",
)
SCOPE = "for these tuned values, on scikit-learn's handwritten digits"
LEARNING_RATE: SearchSpace = {"train.lr": FloatDistribution(type="float", low=0.01, high=0.3, log=True)}


def variant(
    name: str,
    accuracy: float | None = 98.0,
    *,
    seeds: int = 5,
    failed: Collection[int] = (),
    missing: Collection[int] = (),
    search_space: SearchSpace = LEARNING_RATE,
    expect: Expectation | None = None,
    params: int = 250_000,
    changes: Mapping[str, Any] | None = None,
    num_epochs: int = 12,
    measured: bool = True,
) -> VariantSummary:
    """A variant with seeds scattered around `accuracy` (None: nothing has run); all variants share the luck of a seed."""
    if accuracy is None:
        missing = range(seeds)
    rng = np.random.default_rng([sum(map(ord, name)), seeds])
    luck = np.random.default_rng(7).normal(0, 0.2, seeds)
    ran = [seed for seed in range(seeds) if seed not in set(missing)]
    end = {
        s: 10.0 if s in set(failed) else round(float((accuracy or 0) + luck[s] + rng.normal(0, 0.15)), 2) for s in ran
    }
    learned = [end[seed] for seed in ran if seed not in set(failed)]
    tuned = _draw(search_space, rng) if ran else {}
    tuning = _tuning(search_space, tuned, accuracy or 0, rng) if ran else ()
    changes = {"model.mixers": len(name) % 4} if changes is None else dict(changes)
    return VariantSummary(
        name=name,
        description=", ".join(f"{key} = {value}" for key, value in changes.items()) or "the base as it is",
        called="",
        changes=changes,
        expect=expect,
        family=None,
        params=params,
        macs=12 * params,
        activations=40_000,
        workload=WORKLOAD,
        memory=WORKLOAD.memory,
        measured=tiny.measurement(latency_1_seconds=params * 4e-9) if ran and measured else None,
        tuned_by_search={0: tuned} if tuned else {},
        at_edge=(),
        noise=noise([[learned]]),
        accuracy_percent=end,
        failed_seeds=tuple(sorted(failed)),
        bad_seeds=(),
        missing_seeds=tuple(sorted(missing)),
        mean_accuracy_percent=float(np.mean(learned)) if learned else None,
        sd_accuracy_percent=float(np.std(learned, ddof=1)) if len(learned) > 1 else None,
        reseed_disagreement_percent=1.2 * (100 - accuracy) if accuracy and len(learned) > 1 else None,
        learning_onset_steps={seed: None if seed in set(failed) else 12 for seed in ran},
        dead_classes={seed: 9 if seed in set(failed) else 0 for seed in ran},
        train_images_per_second=5432.1 if ran else None,
        trial_seconds=4.2 if ran else None,
        num_tune_planned=20 if search_space else 0,
        num_tune_done=20 if search_space and ran else 0,
        num_tune_epochs=240 if search_space and ran else 0,
        tuning=tuning,
        best_of_n=best_of_n(tuning, guess_percent=10.0),
        curves=tuple(
            Curve(s, s not in set(failed), _epochs(end[s], s not in set(failed), num_epochs, rng)) for s in ran
        ),
        run_ids={seed: f"{rng.integers(2**60):032x}" for seed in ran},
    )


def _course(judgement: Judgement, num_seeds: int) -> Course:
    """A contrast at its only look."""
    evidence = judgement.evidence
    point = LookPoint(1, num_seeds, judgement.num_pairs, judgement.verdict)
    if evidence is not None:
        point = replace(point, mean=judgement.mean, interval=evidence.interval, smallest_difference=0.8)
    is_open = judgement.verdict.word in {"undecided", "exploratory", "no verdict"}
    return Course((point,), "last look" if is_open else "word", 0.0, None)


def study(
    *variants: VariantSummary,
    name: str = "one_by_one",
    search_space: SearchSpace = LEARNING_RATE,
    num_searches: int = 1,
) -> StudySummary:
    """A study of these variants, judged like a real one; the first variant is the baseline."""
    reference, *others = variants
    decision = Decision(alpha=0.05, margin=0.5)
    seeds = tuple(sorted({*reference.accuracy_percent, *reference.missing_seeds, *reference.failed_seeds}))
    searches = {seed: seed * num_searches // len(seeds) for seed in seeds} if num_searches > 1 else {}
    samples = {each.name: replace(_sample(each, reference, len(seeds)), searches=searches) for each in others}
    # A baseline alone has no contrast; a budget has at least one.
    budget = Budget(alpha=decision.alpha, margin=decision.margin, num_comparisons=max(1, len(others)))
    judgements = judge(samples, budget)
    without_unit = judge_without_each_unit(samples, judgements, budget)
    return StudySummary(
        study=name,
        question="How many 1x1 convolutions should follow each spatial convolution of a NiN block?",
        source="d2l.ai, Network in Network, exercise 1",
        profile="starter",
        profile_description="embedded digits, 2 CPU cores, minutes",
        dataset="scikit-learn's handwritten digits",
        guess_percent=10.0,
        learned_percent=20.0,
        baseline=reference.name,
        variants=variants,
        contrasts=tuple(
            Contrast(
                variant=each.name,
                versus=reference.name,
                expect=each.expect,
                expectation="none stated" if each.expect in {None, "unsure"} else "open",
                look=1,
                num_seeds=len(seeds),
                course=_course(judgements[each.name], len(seeds)),
                differences=dict(samples[each.name].differences),
                noise=noise([_in_searches(samples[each.name].differences, searches)]),
                curve_differences=curve_differences(each, reference, seeds),
                # The difference in errors, and a share of the errors of the reference.
                disagreement_percent={
                    seed: round(abs(d) + 0.9 * (100 - reference.accuracy_percent[seed]), 2)
                    for seed, d in samples[each.name].differences.items()
                },
                class_differences=_classes(samples[each.name]),
                p_failures=p_failures(each, reference, seeds),
                p_bad=p_bad(each, reference, samples[each.name].differences),
                judgement=judgements[each.name],
                without_unit=without_unit.get(each.name, {}),
                examination=None,
                detectable=detectable(judgements[each.name], budget),
                paragraph=paragraph(judgements[each.name], budget, variant=each.name, reference=reference.name),
            )
            for each in others
        ),
        decision=decision,
        scope=SCOPE if num_searches == 1 else SCOPE.replace("these tuned values", "the variants, tuned like this"),
        num_searches=num_searches,
        searches=searches,
        noise=noise([_in_searches(v.accuracy_percent, searches) for v in variants]),
        search_space=search_space,
        independent_draws=True,
        looks=(len(seeds),),
        shares=(1.0,),
        history=(),
        shared=(),
        taken=(),
        num_planned=len(others),
        unplanned=None,
        aa=None,
        seeds=seeds,
        warnings=tuple(
            f"{v.name}: {len(v.failed_seeds)} trials ran and did not learn." for v in variants if v.failed_seeds
        ),
        caveats=("data.resize is 28 (the study's base: 224)", "360 test images: one image is 0.28 percentage points."),
        provenance={
            "command": "python -m ablations run studies/one_by_one.yaml",
            "commit": "0123456789abcdef",
            "dirty": False,
            "versions": {"torch": "2.11.0", "mlflow": "3.17.2"},
            "device": "cpu, 2 cores",
        },
    )


def _in_searches(by_seed: Mapping[int, float], searches: Mapping[int, int]) -> list[list[float]]:
    found: dict[int, list[float]] = {}
    for seed, value in by_seed.items():
        found.setdefault(searches.get(seed, 0), []).append(value)
    return list(found.values())


def _classes(sample: PairedSample) -> tuple[ClassDifference, ...]:
    """Ten classes with growing differences; none if there are fewer than three pairs."""
    if len(sample.differences) < 3:
        return ()
    mean = float(sample.values.mean())
    return tuple(
        ClassDifference(
            name=f"class {k}",
            num_images=36,
            mean=mean * k / 4.5,
            interval=Interval(mean * k / 4.5 - 0.9, mean * k / 4.5 + 0.9, 0.95) if k else None,
            p_adjusted=1 / (1 + k**3) if k else None,
        )
        for k in range(10)
    )


def ordinary() -> StudySummary:
    """Five variants, five seeds, everything finished."""
    return study(
        variant("two", 98.1, changes={}, params=252_250),
        variant("none", 95.9, expect="worse", params=201_338, changes={"model.mixers": 0}),
        variant("one", 97.3, expect="worse", params=226_794, changes={"model.mixers": 1}),
        variant("three", 98.2, expect="unsure", params=277_706, changes={"model.mixers": 3}),
        variant("none_wide", 97.9, expect="worse", params=251_760, changes={"model.mixers": 0, "model.width": 1.1181}),
    )


def troubled() -> StudySummary:
    """Twelve variants with long names and ten seeds; some seeds failed or are missing, up to all ten."""
    long = "every_block_narrowed_to_the_parameters_of_the_second_longest_name"
    rest = [variant(f"mixers_of_kind_{k}", 97 + k / 4, seeds=10, params=200_000 + 9_000 * k) for k in range(7)]
    return study(
        variant("book_network_as_it_is_printed", 98, seeds=10, failed=(3,), changes={}),
        variant(long[:64], 97.5, seeds=10, failed=(1, 2, 3), missing=(9,), params=2_500_000),
        variant("learns_nothing_at_all", 10, seeds=10, failed=range(10), params=90_000),
        variant("not_run_yet", None, seeds=10),
        variant("half_done", 97.8, seeds=10, missing=range(1, 10)),
        *rest,
        name="architectures_compared_at_length",
    )


def searched_widely() -> StudySummary:
    """Two variants, hyperparameters of each kind to tune, one of them conditional, and an A/A arm.

    Two seeds are too few for any verdict.
    """
    space: SearchSpace = {
        **LEARNING_RATE,
        "train.batch_size": IntDistribution(type="int", low=16, high=256, log=True),
        "train.optimizer": CategoricalDistribution(type="categorical", choices=["sgd", "adamw"]),
        "train.momentum": FloatDistribution(type="float", low=0, high=0.95, when={"train.optimizer": ["sgd"]}),
    }
    made = study(
        variant("two", 98, seeds=2, search_space=space),
        variant("three", 97, seeds=2, search_space=space),
        search_space=space,
    )
    return replace(made, aa=AACheck(2, 2, 0.1, 0.2, Interval(-1.7, 1.9, 0.95), num_failed=0))


def several_searches() -> StudySummary:
    """Four variants, five searches of two seeds each; one variant has a bad run, and one was examined."""
    plain = study(
        variant("two", 98.1, seeds=10, changes={}),
        variant("none", 95.9, seeds=10, expect="worse"),
        variant("one", 98.0, seeds=10, expect="equivalent"),
        variant("three", 98.4, seeds=10, failed=(3,)),
        num_searches=5,
    )
    rates = {search: {"train.lr": 0.05 * 1.3**search} for search in range(5)}
    variants = tuple(
        replace(each, tuned_by_search=rates, bad_seeds=(4,) if each.name == "one" else ()) for each in plain.variants
    )
    first, *rest = plain.contrasts
    at = AtValues({"train.lr": 0.05}, 5, -2.1, Interval(-2.6, -1.6, 0.95))
    examined = replace(
        first, examination=Examination(at, replace(at, values={"train.lr": 0.2}, num_pairs=1, interval=None))
    )
    shared = (SharedStudy("head", "starter", 10), SharedStudy("depth", "starter", 0))
    return replace(plain, variants=variants, contrasts=(examined, *rest), shared=shared)


def unstarted() -> StudySummary:
    """Three variants, no trial run."""
    return study(variant("two", None), variant("none", None, expect="worse"), variant("one", None))


def alone() -> StudySummary:
    """One variant, one seed, nothing to tune."""
    return study(variant("only", 98, seeds=1, search_space={}, changes={}, num_epochs=1), search_space={})


def hostile() -> StudySummary:
    """A study with markup, mathematics and tables in every text."""
    bad = (
        '<script>alert(1)</script>|`x`$\\frac$ & [a](javascript:b) {{ 7 * 7 }} "><img src=x onerror=alert(3)> '
        "\\input{/etc/passwd} ![a](x:y) <!-- --> ]]> &lt;b&gt;\n# not a heading"
    )
    plain = study(
        variant("<b>two|$x$</b>", 98, changes={}), variant("</svg><script>alert(2)</script>", 97, changes={bad: bad})
    )
    variants = tuple(replace(v, description=bad, tuned_by_search={0: {bad: bad}}) for v in plain.variants)
    return replace(
        plain,
        study="<script>alert(0)</script>",
        question=bad,
        source=bad,
        profile_description=bad,
        dataset=bad,
        scope=bad,
        variants=variants,
        contrasts=tuple(replace(c, paragraph=bad) for c in plain.contrasts),
        warnings=(bad,),
        caveats=(bad,),
        provenance={bad: {bad: [bad]}},
    )


STUDIES = {
    make.__name__: make for make in (ordinary, troubled, searched_widely, several_searches, unstarted, alone, hostile)
}
MakeStudy = Callable[[str], StudySummary]
"""The fixture `make_study`: a study of `STUDIES` by its name."""
Report = Callable[[str], Path]
"""The fixture `report`: the folder with the report of a study of `STUDIES`."""


def _sample(each: VariantSummary, reference: VariantSummary, num_planned: int) -> PairedSample:
    ran = [set(v.accuracy_percent) for v in (each, reference)]
    seeds = sorted((ran[0] - set(each.failed_seeds)) & (ran[1] - set(reference.failed_seeds)))
    return PairedSample(
        differences={seed: each.accuracy_percent[seed] - reference.accuracy_percent[seed] for seed in seeds},
        num_planned=num_planned,
        num_missing=num_planned - len(ran[0] & ran[1]),
        num_failed=len(each.failed_seeds),
        num_failed_reference=len(reference.failed_seeds),
        num_ran=len(ran[0]),
        num_ran_reference=len(ran[1]),
        correct=None,
    )


def _draw(search_space: SearchSpace, rng: np.random.Generator) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, distribution in search_space.items():
        if isinstance(distribution, CategoricalDistribution):
            values[key] = distribution.choices[int(rng.integers(len(distribution.choices)))]
        elif isinstance(distribution, IntDistribution):
            values[key] = int(rng.integers(distribution.low, distribution.high + 1))
        elif distribution.log:
            values[key] = float(np.exp(rng.uniform(np.log(distribution.low), np.log(distribution.high))))
        else:
            values[key] = float(rng.uniform(distribution.low, distribution.high))
    return {key: values[key] for key in active(search_space, values)}


def _tuning(
    search_space: SearchSpace, tuned: dict[str, Any], accuracy: float, rng: np.random.Generator
) -> tuple[TuningPoint, ...]:
    if not search_space:
        return ()

    def point(number: int | None, seed: int, role: Role, values: dict[str, Any]) -> TuningPoint:
        score = accuracy - 3 * abs(np.log(values["train.lr"] / tuned["train.lr"])) + float(rng.normal(0, 0.3))
        diverged = values["train.lr"] > 0.27
        return TuningPoint(
            number, 0, seed, role, values, "diverged" if diverged else "finished", None if diverged else score
        )

    start = {**_draw(search_space, rng), "train.lr": 0.05}
    draws = [point(k, 0, "draw", _draw(search_space, rng)) for k in range(1, 17)]
    return (point(0, 0, "start point", start), *draws, *(point(None, seed, "re-run", tuned) for seed in (1, 2, 3)))


def _epochs(end: float, learned: bool, num_epochs: int, rng: np.random.Generator) -> tuple[EpochRecord, ...]:
    records = []
    for epoch in range(1, num_epochs + 1):
        share = 1 - np.exp(-4 * epoch / num_epochs)
        accuracy = 10 + (end - 10) * share / (1 - np.exp(-4)) if learned else 10 + float(rng.normal(0, 1))
        loss = 2.3 * (1 - accuracy / 100) + 0.03 if learned else (2.3 if epoch < num_epochs else float("nan"))
        records.append(
            EpochRecord(
                epoch=epoch,
                step=40 * epoch,
                train_loss=float(loss * (1 + rng.normal(0, 0.03))),
                train_accuracy_percent=float(accuracy),
                validation_loss=float(1.1 * loss * (1 + rng.normal(0, 0.05))),
                validation_accuracy_percent=float(accuracy + rng.normal(0, 0.1)),
                num_dead_classes=0,
                learning_onset_step=12,
                train_images_per_second=5000.0,
                epoch_seconds=0.4,
                timestamp_ms=0,
            )
        )
    return tuple(records)
