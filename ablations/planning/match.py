"""Costs of a configuration, and the width for the cost of another variant."""

from __future__ import annotations

from collections.abc import Collection
from functools import cache

from ablations import networks
from ablations.costs import images_of
from ablations.errors import CostError, KeyPath, SpecError
from ablations.studyfile.spec import Match
from ablations.text import nearest, shown
from ablations.trial import TrialConfig
from nin.complexity import Costs
from nin.config import ConfigError

MAX_PARAMS = 10**10
"""Params of one network; more fits no GPU."""


def price(config: TrialConfig, path: KeyPath) -> Costs:
    """Count the costs of a configuration's network.

    Args:
        config: the configuration.
        path: place in the study file to blame.

    Raises:
        CostError: the network cannot exist at the size of the images, or has more than `MAX_PARAMS` params.
    """
    images = images_of(config.data)
    try:
        priced = networks.costs(config.model, images)
    except ConfigError as error:
        raise CostError(path, f"{error}; images have {images.size} pixels per side.", at_key=True) from error
    except OverflowError:
        priced = None
    if priced is None or priced.params > MAX_PARAMS:
        raise CostError(path, f"the network has more than {MAX_PARAMS:,} params; no GPU holds it.", at_key=True)
    return priced


def check_target(match: Match, known: Collection[str], path: KeyPath) -> None:
    """Refuse to match a variant that is not among the `known` ones; `path` is the place of the matched one."""
    if match.target not in known:
        raise SpecError(
            (*path, "match", match.cost),
            f"match must name a variant that is not matched itself; given {shown(match.target)}; {nearest(match.target, known)}",
        )


def matching_width(match: Match, config: TrialConfig, target: Costs, path: KeyPath) -> float:
    """Solve the width multiplier for the cost of another variant.

    The cost is a step function of the width: of its two values around the target, the nearer one wins.

    Args:
        match: the cost, the other variant and the tolerance.
        config: the configuration to match.
        target: costs of the other variant.
        path: place of the variant in the study file.

    Raises:
        SpecError: the network has no width, or no width meets the tolerance.
    """
    at = (*path, "match", match.cost)
    wanted = getattr(target, match.cost)
    if not isinstance(networks.dials(config.model).get("width"), float):
        raise SpecError((*path, "match", "by"), "this network has no float dial 'width' to solve for.")

    images = images_of(config.data)

    # Most widths tried below round to the channels of an earlier one.
    @cache
    def priced(model: networks.Model) -> Costs:
        return networks.costs(model, images)

    def cost(width: float) -> int:
        value: int = getattr(priced(networks.at_width(config.model, width)), match.cost)
        return value

    low, high = 1e-3, 64.0
    try:
        if not cost(low) <= wanted <= cost(high):
            raise CostError(
                at,
                f"no width from {low:g} to {high:g} gives the {wanted:,} {match.cost} of {match.target!r}; match another variant.",
            )
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if cost(middle) <= wanted else (low, middle)
    except ConfigError as error:
        raise CostError((*path, "set"), str(error), at_key=True) from error
    width = min((low, high), key=lambda w: abs(cost(w) - wanted))
    # The shortest decimal that gives the same network: it goes into reports and the trial's id.
    width = next((short for digits in range(1, 16) if cost(short := round(width, digits)) == cost(width)), width)
    off = cost(width) / wanted - 1
    if abs(off) > match.tolerance:
        raise CostError(
            at,
            f"the nearest width, {width:g}, gives {cost(width):,} {match.cost} against {wanted:,}: {100 * off:+.1f} %, beyond the "
            f"tolerance of {100 * match.tolerance:g} %. Raise match.tolerance or match another variant.",
        )
    return width
