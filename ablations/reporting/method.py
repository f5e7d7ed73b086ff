"""The report's paragraphs on how the study was done."""

from __future__ import annotations

from collections.abc import Iterator

from ablations.analysis.samples import DEGRADED_POINTS
from ablations.analysis.summary import AACheck, StudySummary
from ablations.reporting import looks, luck, prose, words
from ablations.studyfile.distributions import CategoricalDistribution, Distribution, where_clause
from ablations.text import percent


def method(summary: StudySummary) -> Iterator[tuple[str, str]]:
    """The method of the study, as pairs of a heading and its sentences."""
    margin, units = summary.decision.margin, "searches" if summary.searches else "seeds"
    yield (
        "Data",
        f"{summary.dataset}; the best constant guess is right on {percent(summary.guess_percent)} of the validation images.",
    )
    first, last = summary.seeds[0], summary.seeds[-1]
    fewest = (
        "" if len(summary.looks) == 1 else f", of which each comparison uses the first {words.listed_or(summary.looks)}"
    )
    yield (
        "Seeds",
        f"{first} to {last}, the same for every variant{fewest}. A seed draws the first weights, the order of the images, the validation images "
        "and, where the study trains on fewer, the training images. The test images are the same at every seed. All that is random in a trial comes from its seed and never from "
        "the variant, so differences are taken seed by seed.",
    )
    yield (
        "Accuracy",
        "Of the test split, which each confirmation trial reads once, after its last epoch. Mean ± sd is the standard "
        "deviation over seeds.",
    )
    yield "Tuning", _tuning(summary)
    yield (
        "Failed runs",
        f"A run learned if it is right on at least {percent(summary.learned_percent)} of the validation images after its last "
        f"epoch: a ninth of the way from the best constant guess ({percent(summary.guess_percent)}) to 100 %. One that diverged "
        f"or ended below did not learn: it is counted, and left out of means and differences. If failures hit the seeds that would have "
        f"been worst, words about the runs that learned do not hold for all seeds.{_failures(summary)}",
    )
    yield (
        "Bad runs",
        f"A run that learned is a bad one if it never predicts some class right, or ends more than {DEGRADED_POINTS:g} points under its "
        "variant's median. Bad runs stay in all means and differences. A claim that a difference is small leaves aside bad runs too rare to "
        "be seen with so many seeds. Once a study has seen one, such a claim takes so many seeds that bad runs as frequent as they may be "
        "move a mean by less than the margin.",
    )
    yield (
        "Margin",
        f"±{words.plural(margin, 'percentage point')}, as the study file has it: a smaller difference does not matter. One that is "
        "changed after the results were looked at takes the verdicts away.",
    )
    if summary.contrasts:
        yield (
            "Verdicts",
            f"Intervals and p-values are Student's t over the paired differences of the {units} or, where that claims less, over "
            f"{units} and images (Satterthwaite's degrees of freedom). The larger p-value counts. One step-down goes over all tests of "
            f"difference and of equivalence. {prose.WORDS_AND_INTERVALS} {prose.risk(summary)}{looks.planned(summary)}",
        )
    yield from _resolution(summary)
    if summary.aa is not None:
        yield "A/A arm", _aa(summary.baseline, summary.aa)
    if summary.shared:
        yield "Other studies", _shared(summary)
    if any(luck.spread(summary)):
        yield "Luck", " ".join(luck.spread(summary))
    yield "Scope", " ".join(filter(None, (f"Every conclusion holds {summary.scope}.", luck.left_out(summary))))


def _shared(summary: StudySummary) -> str:
    names = words.listed(
        f"{each.study} at {each.profile} ({words.plural(each.num_runs, 'run')} in common)" for each in summary.shared
    )
    return (
        f"Judged on the same test images, in the same store: {names}. The risk of a wrong word is held within each study, not over all of "
        "them; the index of all reports has the verdicts after a correction over all of its contrasts."
    )


def _aa(baseline: str, aa: AACheck) -> str:
    interval = aa.interval
    apart = not interval.lower <= 0 <= interval.upper
    return (
        f"{baseline} was confirmed once more, on seeds that nothing else used: {words.points(aa.mean, signed=True)} "
        f"points against itself (95 % CI {words.span(interval, 0.0)}, {aa.num_pairs} pairs of {aa.num_planned} planned, sd "
        f"{words.points(aa.sd)}, {words.plural(aa.num_failed, 'run')} that did not learn). "
        + (
            "This interval leaves out 0, as one in twenty does by chance; if it happens again, something besides the seed "
            "differs between trials."
            if apart
            else "That is how far apart two groups of seeds of one and the same network lie here."
        )
    )


def _tuning(summary: StudySummary) -> str:
    if not summary.search_space:
        return "None: all hyperparameters are fixed."
    spaces = "; ".join(
        f"{name} {_range(space)}{where_clause(space.when)}" for name, space in summary.search_space.items()
    )
    draws = "" if summary.independent_draws else " Later draws depend on earlier results."
    return f"Each variant by itself, on validation images only. Searched: {spaces}.{draws} {_effort(summary)}{luck.searches(summary)}{_choices(summary)}"


def _range(distribution: Distribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"among {words.listed(words.setting(choice) for choice in distribution.choices)}"
    return f"from {distribution.low:g} to {distribution.high:g}" + (" (log scale)" if distribution.log else "")


def _effort(summary: StudySummary) -> str:
    counts = {
        v.name: f"{v.num_tune_done} of {words.plural(v.num_tune_planned, 'trial')} in "
        f"{words.plural(v.num_tune_epochs, 'epoch')}"
        for v in summary.variants
    }
    if len(set(counts.values())) == 1:
        return f"Done for each variant, re-runs included: {counts[summary.baseline]}."
    each = "; ".join(f"{name} {count}" for name, count in counts.items())
    return f"Done, re-runs included: {each}."


def _choices(summary: StudySummary) -> str:
    """How sure the searches were; empty if that is unknown."""
    if not summary.choices:
        return ""
    noise = next(iter(summary.choices.values())).noise_points
    shares = ", ".join(
        f"{name} {100 * choice.other_share:.0f} % (won by {words.points(choice.lead_points)} points)"
        for name, choice in summary.choices.items()
    )
    return (
        f" Between trainings of the same values a validation accuracy has a standard deviation of {words.points(noise)} points. Simulated with "
        f"it, a repeated search would choose other values in at least: {shares}."
    )


def _failures(summary: StudySummary) -> str:
    """Failed runs with the interval of their rate; variants with the same numbers are grouped."""
    groups: dict[str, list[str]] = {}
    for variant in summary.variants:
        if variant.ran_seeds:
            groups.setdefault(words.failures(variant), []).append(variant.name)
    parts = (f"{words.listed(names)}: {failures}" for failures, names in groups.items())
    return f" Counted of each, with the 95 % interval of the rate: {'; '.join(parts)}." if groups else ""


def _resolution(summary: StudySummary) -> Iterator[tuple[str, str]]:
    """The influence of the test images, if the correct ones of each trial are known."""
    found = {contrast.variant: contrast.judgement.evidence for contrast in summary.contrasts}
    floors = [evidence.image_floor for evidence in found.values() if evidence and evidence.image_floor is not None]
    wider = [name for name, evidence in found.items() if evidence and evidence.basis.endswith("images")]
    if not floors:
        return
    new = "new searches with their seeds" if summary.searches else "new seeds"
    covers = f" and new test images where that is the wider one: {words.listed(wider)}" if wider else ""
    yield (
        "Resolution",
        f"Intervals hold for {new}{covers}. The test set alone limits what can be told apart to about "
        f"±{words.points(1.96 * max(floors))} points, however many {'searches' if summary.searches else 'seeds'} there are.",
    )
