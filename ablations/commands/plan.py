"""`plan`: the trainings of a run, and their cost."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from ablations.commands.costs import costs_json, measure
from ablations.commands.studies import choose_profile, open_study, recorded_ledgers, warn_if_long, warn_of_lost_words
from ablations.planning.checking import plan_study

if TYPE_CHECKING:
    from ablations.costs import Measurement
    from ablations.planning.frozen import Ledger
    from ablations.planning.plan import Plan


def plan(study: str, profile: str | None, *, measured: bool, as_json: bool) -> None:
    """Print the plan of a study on this machine.

    Args:
        study: path or name.
        profile: one of its profiles; None chooses by the machine.
        measured: whether to measure each network here, too.
        as_json: whether to print JSON.

    Raises:
        AblationsError: the study cannot be planned or measured.
    """
    from ablations.execution.environment import detect

    file, machine = open_study(study), detect()
    name, why = choose_profile(file, profile, machine)
    planned = plan_study(file, name, machine)
    words = ["python", "-m", "ablations", "run", study, "--profile"]
    warn_if_long(lambda other: shlex.join([*words, other]), file, planned, machine)
    ledgers = recorded_ledgers(planned.study, name)
    warn_of_lost_words([planned], ledgers)
    workloads = [planned.workload(variant.name) for variant in planned.variants]
    measurements = measure(workloads, machine) if measured else {}
    if as_json:
        print(json.dumps(plan_json(planned, measurements, ledgers), indent=2))
        return
    from ablations.terminal.consoles import plain_console
    from ablations.terminal.printing import print_plan

    print_plan(planned, machine, why, measurements, plain_console(), ledgers=ledgers)


def plan_json(planned: Plan, measurements: Mapping[str, Measurement], ledgers: Sequence[Ledger] = ()) -> dict[str, Any]:
    """A plan as a JSON object; `measurements` by the workload's id, `ledgers` of the studies in the store."""
    from ablations.datasets import DATASETS
    from ablations.planning.expectation import expectation
    from ablations.planning.resolution import resolution
    from ablations.planning.stronger import num_trials_by_search
    from ablations.stats.guessing import learned_percent

    found = resolution(planned)
    guess = DATASETS[planned.data.name].guess_percent
    variants = {}
    for variant in planned.variants:
        workload = planned.workload(variant.name)
        variants[variant.name] = {
            **costs_json(workload, measurements.get(workload.id)),
            "changes": variant.changes,
            "config": variant.config.to_json(),
        }
    return {
        "study": planned.study,
        "profile": planned.profile,
        "baseline": planned.baseline,
        "num_trials": len(planned.cells),
        "expected_trials": {
            sd: round(sum(each.values()), 1) for sd, each in expectation(planned, ledgers).by_spread.items()
        },
        "num_trials_by_search": num_trials_by_search(planned) if planned.tuned and not planned.is_by_search else None,
        "guess_percent": guess,
        "learned_percent": learned_percent(guess),
        "resolution": None if found is None else asdict(found),
        "variants": variants,
        "trials": [
            {"phase": cell.phase, "variant": cell.variant, "seed": cell.seed, "number": cell.number}
            for cell in planned.cells
        ],
    }
