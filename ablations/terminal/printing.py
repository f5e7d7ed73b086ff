"""Plans, costs and layers, as the commands print them for people.

The consoles are plain, without markup, so texts of a study appear as written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Literal, TypeVar

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from ablations.costs import Measurement, Workload
from ablations.datasets import DATASETS
from ablations.planning.duration import Trainings, cpu_seconds, most_trainings
from ablations.planning.frozen import Ledger
from ablations.planning.plan import Plan
from ablations.studyfile.distributions import where_clause
from ablations.terminal.consoles import print_prose
from ablations.text import in_words, latency, mebibytes, percent, plural
from ablations.trial import Machine
from nin.complexity import LayerRow
from nin.images import Input
from nin.layers import Shape

T = TypeVar("T")

GAP = 2
"""Blanks between two columns of a table."""
MIN_WORDS = 12
"""Least width of a column with words broken into lines, in characters."""


def headline(plan: Plan, machine: Machine, why: str) -> str:
    """A run's first line: its trainings, the reason for its profile, and its cost."""
    tune = sum(cell.phase == "tune" for cell in plan.cells)
    confirm = len(plan.cells) - tune
    cost = f"; {plan.profile_cost}" if plan.profile_cost else ""
    epochs = plural(plan.variants[0].config.train.epochs, "epoch")
    return (
        f"{plan.study}, profile {plan.profile} ({why}): {plural(len(plan.variants), 'variant')}, {tune} tuning and "
        f"{_at_most(plan)}{plural(confirm, 'confirmation training')} of {epochs} on {plan.num_train_images:,} images, "
        f"{machine.num_workers} at a time on {machine.description}{cost}"
    )


def _at_most(plan: Plan) -> str:
    return "at most " if len(plan.looks) > 1 else ""


def print_plan(
    plan: Plan,
    machine: Machine,
    why: str,
    measured: Mapping[str, Measurement],
    console: Console,
    *,
    ledgers: Sequence[Ledger] = (),
) -> None:
    """Print a plan for people.

    Args:
        plan: to print.
        machine: to train on.
        why: reason for the profile.
        measured: the known measurements by id of their workload.
        console: to print to.
        ledgers: of studies in the store.
    """
    from ablations.planning import stronger
    from ablations.planning.resolution import in_sentences, resolution
    from ablations.stats.budget import shares
    from ablations.stats.guessing import learned_percent

    print_prose(headline(plan, machine, why), console)
    print_prose(f"\n{plan.question}\n", console)
    _print_variants(plan, console)
    if measured:
        console.print()
        _print_measured({each.name: plan.workload(each.name) for each in plan.variants}, measured, console)
        seconds = _training_seconds(plan, most_trainings(plan), measured)
        if seconds is not None:
            print_prose(
                f"\nat these speeds, {machine.num_workers} at a time: {_at_most(plan) or 'about '}"
                f"{in_words(seconds / machine.num_workers)}",
                console,
            )
    if plan.tuned:
        space = ", ".join(f"{key} {value.words}{where_clause(value.when)}" for key, value in plan.search_space.items())
        tuning = plan.tuning
        again = (
            f", the best {tuning.num_rerun} repeated on {plural(tuning.rerun_seeds, 'fresh seed')}"
            if tuning.num_rerun
            else ""
        )
        print_prose(
            f"\ntuned the same way for each variant: {space}; {plural(tuning.trials, 'trial')} ({tuning.sampler}){again}",
            console,
        )
    print_prose(
        f"confirmed on {_at_most(plan)}{plural(len(plan.seeds), 'seed')}; decided at alpha {plan.decision.alpha:g}, margin "
        f"{plural(plan.decision.margin, 'percentage point')}, on {plan.num_test:,} test images",
        console,
    )
    if about := stronger.in_sentences(plan):
        print_prose(about, console)
    guess = DATASETS[plan.data.name].guess_percent
    print_prose(
        f"a run learned if it is right on at least {percent(learned_percent(guess))} of the validation images: a ninth of the way from "
        f"the best constant guess to 100 %. That guess gives {percent(guess)} if the classes are equally frequent, else more",
        console,
    )
    if len(plan.looks) > 1:
        percents = ", ".join(f"{100 * share:g}" for share in shares(plan.looks))
        print_prose(
            f"looks planned at {', '.join(map(str, plan.looks))} seeds, with {percents} % of alpha each; only comparisons without a word "
            "get the seeds of the next look",
            console,
        )
        print_prose(_expected(plan, machine, measured, ledgers), console)
    found = resolution(plan)
    if found is not None:
        console.print("\nwhat this can decide")
        for sentence in in_sentences(found):
            print_prose(f"  {sentence}", console)
        console.print()
    for caveat in plan.caveats:
        print_prose(f"caveat: {caveat}", console)


def _expected(plan: Plan, machine: Machine, measured: Mapping[str, Measurement], ledgers: Sequence[Ledger]) -> str:
    """The trainings that looks are expected to take, and their time as far as it can be told."""
    from ablations.planning.expectation import TRUE_MARGINS, expectation

    found = expectation(plan, ledgers)
    expected, most = list(found.by_spread.values()), most_trainings(plan)
    numbers = " / ".join(f"{sum(each.values()):.0f}" for each in expected)
    spreads = " / ".join(f"{sd:.2g}" for sd in found.by_spread)
    origin = " (as looks at this study found)" if found.is_measured else ""
    unit = "search" if plan.is_by_search else "seed"
    told = (
        f"trainings: at most {sum(most.values()):,}; {numbers} expected if differences scatter from {unit} to {unit} by {spreads} points{origin} "
        f"and true differences lie between {min(TRUE_MARGINS):g} and {max(TRUE_MARGINS):g} margins"
    )
    times = [_training_seconds(plan, each, measured) for each in (*expected, most)]
    basis = "at the measured speeds"
    if None in times and machine.device == "cpu":
        times, basis = [cpu_seconds(plan, each, 1) for each in (*expected, most)], "by counted costs"
    *some, longest = [in_words(each / machine.num_workers) for each in times if each is not None] or [""]
    return f"{told}: roughly {' / '.join(some)}, at most {longest}, {basis}" if some else told


def _print_variants(plan: Plan, console: Console) -> None:
    rows = []
    for variant in plan.variants:
        expected = "baseline" if variant.name == plan.baseline else variant.expect or ""
        memory = _counted(plan.workload(variant.name), "peak_training_bytes")
        counts = (f"{variant.costs.params:,}", f"{variant.costs.macs:,}", memory)
        rows.append((variant.name, variant.description, *counts, expected))
    titles = ("variant", "changes", "params", "MACs", "memory", "expected")
    _print_table(titles, rows, console, words={"changes", "expected"})
    train = plan.variants[0].config.train
    print_prose(
        f"\nmemory: peak of training, counted in closed form for batch {train.batch_size} in {train.precision}; for more, "
        "use the command costs",
        console,
    )


def _counted(workload: Workload, kind: Literal["saved_bytes", "peak_training_bytes", "peak_prediction_bytes"]) -> str:
    """Memory in closed form; a dash if there is none, as for a registered network."""
    return "–" if workload.memory is None else mebibytes(getattr(workload.memory, kind))


def _training_seconds(plan: Plan, numbers: Trainings, measured: Mapping[str, Measurement]) -> float | None:
    """Time of trainings, one after the other; None if a variant was not measured."""
    total = 0.0
    for (name, phase), number in numbers.items():
        measurement = measured.get(plan.workload(name).id)
        if measurement is None:
            return None
        config = plan[name].config
        predicting = (config.data.validation * config.train.epochs + (plan.num_test if phase == "confirm" else 0)) / 128
        seconds = plan.num_train_images * config.train.epochs / measurement.train_images_per_second
        total += number * (seconds + predicting * measurement.latency_128_seconds)
    return total


def print_costs(rows: Mapping[str, Workload], measured: Mapping[str, Measurement], console: Console) -> None:
    """Print costs as a table; `measured` has the known measurements by id of their workload."""
    columns = {
        "images": lambda each: _shape(each.images.shape),
        "params": lambda each: f"{each.costs.params:,}",
        "MACs": lambda each: f"{each.costs.macs:,}",
        "FLOPs": lambda each: f"{each.costs.flops:,}",
        "saved activations": lambda each: _counted(each, "saved_bytes"),
        "training peak": lambda each: _counted(each, "peak_training_bytes"),
        "prediction peak": lambda each: _counted(each, "peak_prediction_bytes"),
    }
    _print_columns(rows, columns, console)
    settings = {(each.batch_size, each.precision, each.optimizer, each.device) for each in rows.values()}
    batches = "; ".join(f"batch {b}, {p}, {o}, {d}" for b, p, o, d in sorted(settings))
    print_prose(
        f"\ncounted in closed form; MACs and FLOPs (2 per MAC) for one image, forward; memory for {batches}", console
    )
    if measured:
        console.print()
        _print_measured(rows, measured, console)


def _print_measured(rows: Mapping[str, Workload], measured: Mapping[str, Measurement], console: Console) -> None:
    known = {name: measured[each.id] for name, each in rows.items() if each.id in measured}
    columns = {
        "training peak": lambda each: mebibytes(each.peak_training_bytes),
        "prediction peak": lambda each: mebibytes(each.peak_prediction_bytes),
        "training images/s": lambda each: f"{each.train_images_per_second:,.0f}",
        "latency 1 (IQR)": lambda each: _with_iqr(each.latency_1_seconds, each.latency_1_iqr_seconds),
        "latency 128 (IQR)": lambda each: _with_iqr(each.latency_128_seconds, each.latency_128_iqr_seconds),
    }
    _print_columns(known, columns, console)
    first = next(iter(known.values()))
    print_prose(
        f"\nmeasured on {first.processor}, {plural(first.num_threads, 'thread')}, "
        f"torch {first.torch_version}, with nothing else running",
        console,
    )


def _with_iqr(median: float, interquartile_range: float) -> str:
    return f"{latency(median)} ({latency(interquartile_range)})"


def _print_columns(rows: Mapping[str, T], columns: Mapping[str, Callable[[T], str]], console: Console) -> None:
    """Print a row per name, and a column per figure of it."""
    cells = [(name, *(shown(row) for shown in columns.values())) for name, row in rows.items()]
    _print_table(("network", *columns), cells, console)


def _print_table(
    titles: Sequence[str], rows: Sequence[Sequence[str]], console: Console, *, words: Set[str] = frozenset()
) -> None:
    """Print a table; on a narrow console, print several with rows and columns swapped. No number is ever cut off.

    Args:
        titles: of the columns; the first column has the names of the rows.
        rows: their cells.
        console: the one to print on.
        words: titles of the columns with words, to be broken into lines if necessary.
    """
    widths = [
        min(width, MIN_WORDS) if title in words else width
        for title, cells in zip(titles, zip(*rows, strict=True), strict=True)
        for width in [max(map(cell_len, (title, *cells)))]
    ]
    table = Table(box=None, pad_edge=False)
    if sum(widths) + GAP * (len(widths) - 1) <= console.width:
        for title in titles:
            left = title in words or title == titles[0]
            table.add_column(title, justify="left" if left else "right", overflow="fold", no_wrap=title not in words)
        for row in rows:
            table.add_row(*row)
        console.print(table)
        return
    room = max(MIN_WORDS, console.width - max(map(cell_len, titles)) - GAP)
    at_once = max(1, (room + GAP) // (max(widths) + GAP))
    longest = max(cell_len(cell) for row in rows for cell in row)
    width = min(room, longest) if at_once == 1 else max(widths)
    for start in range(0, len(rows), at_once):
        if start:
            console.print()
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        for _ in rows[start : start + at_once]:
            table.add_column(justify="right", overflow="fold", width=width)
        for cells in zip(titles, *rows[start : start + at_once], strict=True):
            table.add_row(*cells)
        console.print(table)


def _shape(shape: Shape) -> str:
    return "x".join(map(str, shape))


def print_layers(preset: str, images: Input, rows: Sequence[LayerRow], console: Console) -> None:
    """Print a network's layers as a table, with their sum."""
    print_prose(f"{preset}, for {_shape(images.shape)} images and {images.num_classes} classes", console)
    cells = [
        (
            row.name,
            row.kind,
            _shape(row.out_shape),
            f"{row.params:,}",
            f"{row.macs:,}",
            f"{row.out_bytes:,}",
        )
        for row in rows
    ]
    total = (sum(row.params for row in rows), sum(row.macs for row in rows), sum(row.out_bytes for row in rows))
    params, macs, out_bytes = (f"{each:,}" for each in total)
    cells.append(("all", "", "", params, macs, out_bytes))
    titles = ("layer", "kind", "output shape", "params", "MACs", "output bytes")
    _print_table(titles, cells, console, words={"layer", "kind"})
    print_prose(
        "\nfor one image, forward, in fp32; an in-place activation or a flattening has no separate output", console
    )
