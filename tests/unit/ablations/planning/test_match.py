"""Costs of networks, and widths that match another cost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from builders import SHIPPED, edited, planned, refusal, shipped
from torch.utils.flop_counter import FlopCounterMode

from ablations.costs import images_of
from ablations.studyfile.loading import shipped_studies
from nin.complexity import Costs, costs
from nin.config import Config
from nin.images import Input
from nin.model import build


@pytest.mark.parametrize(
    ("replacement", "message"),
    [
        (("params: two", "params: tow"), "s.yaml:17:21: variants.wide.match.params: match must name a variant that is not matched itself; given 'tow'; did you mean 'two'?"),
        (("params: two", "params: wide"), "s.yaml:17:21: variants.wide.match.params: match must name a variant that is not matched itself; given 'wide'; known here: one, two."),
        (
            ("tolerance: 0.2", "tolerance: 0.0001"),
            "s.yaml:17:21: variants.wide.match.params: the nearest width, 0.3, gives 2,401 params against 2,328: +3.1 %, beyond the tolerance of 0.01 %. "
            "Raise match.tolerance or match another variant.",
        ),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: 1e308}"), "s.yaml:14:9: variants.one.set: the network has more than 10,000,000,000 params; no GPU holds it."),
        (("{model.mixers: 1}", "{model.mixers: 1, model.width: 1e5}"), "s.yaml:14:9: variants.one.set: the network has more than 10,000,000,000 params; no GPU holds it."),
        (("resize: 16", "resize: 2"), "s.yaml:13:3: variants.two: pools: block1.pool needs an input of at least 3x3, it has 2x2; images have 2 pixels per side."),
    ],
)  # fmt: skip
def test_networks_and_matches_that_are_refused(replacement: tuple[str, str], message: str) -> None:
    assert refusal(edited(replacement))[: len(message)] == message


@pytest.mark.parametrize(("path", "profile"), SHIPPED, ids=lambda value: getattr(value, "stem", value))
def test_closed_form_costs_are_what_torch_counts(path: Path, profile: str) -> None:
    plan = shipped(path, profile)
    images = images_of(plan.data)
    for variant in plan.variants:
        with torch.device("meta"):
            model = build(variant.config.model, images).eval()
            image = torch.empty(1, images.in_channels, images.size, images.size)
        with FlopCounterMode(display=False) as counter:
            model(image)
        params = sum(parameter.numel() for parameter in model.parameters())
        assert (variant.costs.params, variant.costs.macs) == (params, counter.get_total_flops() // 2), variant.name


def test_the_books_network_has_the_books_numbers() -> None:
    book = shipped(next(path for path in shipped_studies() if path.stem == "one_by_one"), "book")["two"]
    assert (book.costs.params, book.costs.macs) == (1_992_166, 762_297_352)


@pytest.mark.parametrize("cost", ["params", "macs"])
def test_a_match_meets_the_cost_it_names(cost: str) -> None:
    text = edited(
        ("{params: two, by: model.width, tolerance: 0.2}", f"{{{cost}: two, by: model.width, tolerance: 0.1}}")
    )
    plan = planned(text.replace("width: 0.25", "width: 2"))
    wide, two = plan["wide"], plan["two"]
    assert getattr(wide.costs, cost) == pytest.approx(getattr(two.costs, cost), rel=0.02)
    assert wide.config.model.width == wide.changes["model.width"] > 2
    assert len(str(wide.changes["model.width"])) < 8, "the shortest number that gives this network"


def test_a_match_finds_the_nearest_width_there_is() -> None:
    plan = planned()
    wide, wanted = plan["wide"].config.model, plan["two"].costs.params

    def off(width: float) -> int:
        return abs(costs(replace(wide, width=width), Input(in_channels=1, size=16, num_classes=4)).params - wanted)

    assert off(wide.width) == min(off(width / 1000) for width in range(1, 2000))


def test_a_match_prices_few_networks_and_none_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    priced: list[Config] = []

    def counted(model: Config, images: Input) -> Costs:
        priced.append(model)
        return costs(model, images)

    monkeypatch.setattr("ablations.networks.costs", counted)
    planned()
    assert len(set(priced)) == len(priced) < 40, "it tries over 60 widths"


def test_a_match_cannot_reach_everywhere() -> None:
    text = edited(("{params: two,", "{params: one,"), ("{model.mixers: 1}", "{model.channels: [2000, 4000, 6000]}"))
    text = text.replace("{model.mixers: 0}", "{model.mixers: 0, model.channels: [1, 1, 1]}")
    assert "no width from 0.001 to 64 gives" in refusal(text)
