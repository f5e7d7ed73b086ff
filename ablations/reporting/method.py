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
    margin = summary.decision.margin
    yield "Data", f"{summary.dataset}. {_guess(summary)}"
    yield "Seeds", _seeds(summary)
    yield (
        "Accuracy",
        "On the test split. Each confirmation trial reads it once, after its last epoch. Mean ± sd is the standard deviation over seeds.",
    )
    yield "Tuning", _tuning(summary)
    yield (
        "Failed runs",
        f"A run learned if its last validation accuracy is at least {percent(summary.learned_percent)}. This is a ninth of the way from "
        "the best constant guess to 100 %. A run that diverged or ended below did not learn. It is counted, and left out of means and "
        "differences. If failures hit the worst seeds, verdicts on the runs that learned do not hold for all seeds."
        f"{_failures(summary)}",
    )
    yield (
        "Bad runs",
        "A run that learned is bad if it never predicts some class right. It is also bad if it ends more than "
        f"{DEGRADED_POINTS:g} points under its variant's median. Bad runs stay in all means and differences. Claims of a small difference "
        "leave bad runs aside if they are too rare to be seen with this number of seeds. After a study has seen one, such a claim takes more "
        "seeds. Bad runs at their upper limit must then move a mean by less than the margin.",
    )
    yield (
        "Margin",
        f"±{words.plural(margin, 'percentage point')}, from the study file: a smaller difference does not matter. A margin that is "
        "changed after a look at results takes the verdicts away.",
    )
    if summary.contrasts:
        yield "Verdicts", " ".join(_verdicts(summary))
    yield from _resolution(summary)
    if summary.aa is not None:
        yield "A/A arm", _aa(summary.baseline, summary.aa)
    if summary.shared:
        yield "Other studies", _shared(summary)
    if any(luck.spread(summary)):
        yield "Luck", " ".join(luck.spread(summary))
    yield "Scope", " ".join(filter(None, (f"Every conclusion holds {summary.scope}.", luck.left_out(summary))))


def _guess(summary: StudySummary) -> str:
    return f"The best constant guess is right on {percent(summary.guess_percent)} of the validation images."


def _seeds(summary: StudySummary) -> str:
    first, last = summary.seeds[0], summary.seeds[-1]
    fewest = (
        "" if len(summary.looks) == 1 else f" A comparison uses the first {words.listed_or(summary.looks)} of them."
    )
    return (
        f"{first} to {last}, the same for every variant.{fewest} A seed draws the first weights, the order of the images and the "
        "validation images. If a study trains on fewer images, it draws these too. The test images are the same at every seed. All chance "
        "in a trial comes from its seed and never from the variant, so differences are taken seed by seed."
    )


def _verdicts(summary: StudySummary) -> Iterator[str]:
    units = "searches" if summary.searches else "seeds"
    yield (
        f"Intervals and p-values are Student's t over the paired differences of the {units}. They are over {units} and images "
        "(Satterthwaite's degrees of freedom) where this claims less. The larger p-value counts. One step-down covers all tests of "
        "difference and of equivalence."
    )
    yield prose.WORDS_AND_INTERVALS
    yield prose.risk(summary)
    yield looks.planned(summary)


def _shared(summary: StudySummary) -> str:
    names = "; ".join(
        f"{each.study} at {each.profile}: {words.plural(each.num_runs, 'run')} in common" for each in summary.shared
    )
    return (
        f"The store has other studies on the same test images ({names}). The risk of a wrong verdict is held within each study, "
        "not over all of them. The index of all reports has the verdicts after a correction over all of its contrasts."
    )


def _aa(baseline: str, aa: AACheck) -> str:
    interval = aa.interval
    apart = not interval.lower <= 0 <= interval.upper
    return (
        f"`{baseline}` was confirmed again, on seeds that nothing else used. It scored {words.points(aa.mean, signed=True)} points against "
        f"itself (95 % CI {words.span(interval, 0.0)}, {aa.num_pairs} pairs of {aa.num_planned} planned, sd {words.points(aa.sd)}, "
        f"{words.plural(aa.num_failed, 'run')} that did not learn). "
        + (
            "This interval leaves out 0, as one in twenty does by chance. If it happens again, something besides the seed differs "
            "between trials."
            if apart
            else "This is the distance of two groups of seeds of the same network."
        )
    )


def _tuning(summary: StudySummary) -> str:
    if not summary.search_space:
        return "None: all hyperparameters are fixed."
    draws = "" if summary.independent_draws else " Later draws depend on earlier results."
    return f"Each variant separately, on validation images only. Searched: {search_space(summary)}.{draws} {_effort(summary)}{luck.searches(summary)}{_choices(summary)}"


def search_space(summary: StudySummary) -> str:
    """The searched keys with their ranges, in words."""
    return "; ".join(
        f"`{name}` {_range(space)}{where_clause(space.when)}" for name, space in summary.search_space.items()
    )


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
    each = "; ".join(f"`{name}`: {count}" for name, count in counts.items())
    return f"Done, re-runs included: {each}."


def _choices(summary: StudySummary) -> str:
    """How sure the searches were; empty if that is unknown."""
    noise = next((choice.noise_points for choice in summary.choices.values()), 0.0)
    if not noise:
        return ""
    shares = "; ".join(
        f"`{name}`: {100 * choice.other_share:.0f} % (won by {words.points(choice.lead_points)} points)"
        for name, choice in summary.choices.items()
    )
    return (
        f" Trainings of the same values differ in validation accuracy by a standard deviation of {words.points(noise)} points. "
        f"With this noise, simulated repetitions of a search choose other values at least this often: {shares}."
    )


def _failures(summary: StudySummary) -> str:
    """Failed runs with the interval of their rate; variants with the same numbers are grouped."""
    groups: dict[str, list[str]] = {}
    for variant in summary.variants:
        if variant.ran_seeds:
            groups.setdefault(words.failures(variant), []).append(f"`{variant.name}`")
    parts = (f"{words.listed(names)}: {failures}" for failures, names in groups.items())
    return f" Failed runs, with the 95 % interval of the rate: {'; '.join(parts)}." if groups else ""


def _resolution(summary: StudySummary) -> Iterator[tuple[str, str]]:
    """The influence of the test images, if the correct ones of each trial are known."""
    found = {contrast.variant: contrast.judgement.evidence for contrast in summary.contrasts}
    floors = [evidence.image_floor for evidence in found.values() if evidence and evidence.image_floor is not None]
    wider = [f"`{name}`" for name, evidence in found.items() if evidence and evidence.basis.endswith("images")]
    if not floors:
        return
    units = "searches" if summary.searches else "seeds"
    new = "new searches with their seeds" if summary.searches else "new seeds"
    covers = f" They hold for new test images too, where this is wider: {words.listed(wider)}." if wider else ""
    limit = words.points(1.96 * max(floors))
    least = (
        f" The test set limits the resolution to about ±{limit} points, for any number of {units}."
        if float(limit)
        else ""
    )
    yield "Resolution", f"Intervals hold for {new}.{covers}{least}"
