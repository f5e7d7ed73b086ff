"""What the commands print for people: plans, costs, progress so far.

The consoles are plain, without markup: what a study says is shown as it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from ablations.plan import Machine, Plan
from nin.complexity import Costs


def headline(plan: Plan, machine: Machine, why: str) -> str:
    """What will be run, why at this profile, and what it costs: a run's first line."""
    tune = sum(cell.phase == "tune" for cell in plan.cells)
    confirm = len(plan.cells) - tune
    cost = f"; {plan.profile_cost}" if plan.profile_cost else ""
    return (
        f"{plan.study}, profile {plan.profile} ({why}): {len(plan.variants)} variants, {tune} tuning and {confirm} confirmation "
        f"trainings of {plan.variants[0].config.train.epochs} epochs on {plan.num_train_images:,} images, {machine.num_workers} at a time "
        f"on {machine.description}{cost}"
    )


def print_plan(plan: Plan, machine: Machine, why: str, console: Console) -> None:
    """The plan as a person reads it."""
    console.print(headline(plan, machine, why), soft_wrap=True)
    console.print(f"\n{plan.question}\n", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for title in ("variant", "what is changed", "params", "MACs", "expected"):
        table.add_column(title, justify="right" if title in {"params", "MACs"} else "left", overflow="fold")
    for variant in plan.variants:
        expected = "baseline" if variant.name == plan.baseline else variant.expect or ""
        table.add_row(variant.name, variant.description, *_counts(variant.costs), expected)
    console.print(table)
    if plan.tuned:
        space = ", ".join(f"{key} {_space(value.model_dump())}" for key, value in plan.search_space.items())
        tuning = plan.tuning
        again = f", the best {plan.num_rerun} again on {tuning.rerun_seeds} fresh seeds" if plan.num_rerun else ""
        console.print(f"\ntuned for each variant alike: {space}; {tuning.trials} trials ({tuning.sampler}){again}")
    console.print(
        f"confirmed on {len(plan.seeds)} seeds; decided at alpha {plan.decision.alpha:g}, margin {plan.decision.margin:g} "
        f"percentage points, on {plan.num_test:,} test images",
    )
    for caveat in plan.caveats:
        console.print(f"caveat: {caveat}")


def print_costs(rows: Mapping[str, Costs], console: Console) -> None:
    """Costs as a table."""
    table = Table(box=None, pad_edge=False)
    table.add_column("network")
    for title in ("params", "MACs"):
        table.add_column(title, justify="right")
    for name, costs in rows.items():
        table.add_row(name, *_counts(costs))
    console.print(table)


def print_status(plan: Plan, trials: Iterable[Any], console: Console) -> None:
    """Trials with an outcome against planned ones, a row a variant."""
    done: dict[tuple[str, str], int] = {}
    for trial in trials:
        done[trial.variant, trial.phase] = done.get((trial.variant, trial.phase), 0) + 1
    console.print(f"{plan.study}, profile {plan.profile}", soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for title in ("variant", "tune", "confirm"):
        table.add_column(title, justify="left" if title == "variant" else "right")
    for variant in plan.variants:
        cells = []
        for phase in ("tune", "confirm"):
            planned = sum(cell.phase == phase and cell.variant == variant.name for cell in plan.cells)
            cells.append(f"{done.get((variant.name, phase), 0)}/{planned}")
        table.add_row(variant.name, *cells)
    console.print(table)


def _counts(costs: Costs) -> tuple[str, str]:
    return f"{costs.params:,}", f"{costs.macs:,}"


def _space(distribution: Mapping[str, Any]) -> str:
    if distribution["type"] == "categorical":
        return f"one of {distribution['choices']}"
    return f"{distribution['low']:g} to {distribution['high']:g}{' (log)' if distribution['log'] else ''}"
