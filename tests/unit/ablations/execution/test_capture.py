"""The parts of a captured step that a CPU can run; tests/gpu has the rest."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from ablations.execution.capture import restore_in_place
from ablations.execution.train import make_optimizer, set_learning_rate
from ablations.trial import TrainConfig

RECIPES: dict[str, dict[str, Any]] = {
    "sgd": {},
    "momentum": {"momentum": 0.9, "nesterov": True},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
}


def network(recipe: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = torch.nn.Linear(4, 3)
    return model, make_optimizer(model, TrainConfig(epochs=1, batch_size=1, lr=0.05, **RECIPES[recipe]))


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[torch.Tensor]:
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.full((2, 4), 1.0 + step)).square().sum().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


@pytest.mark.parametrize("done", [0, 2])
@pytest.mark.parametrize("recipe", RECIPES)
def test_an_optimizer_goes_on_as_if_it_had_not_warmed_up(recipe: str, done: int) -> None:
    model, optimizer = network(recipe)
    train(model, optimizer, done)
    weights, moments = copy.deepcopy(model.state_dict()), copy.deepcopy(optimizer.state_dict())
    expected = train(model, optimizer, 3)
    model.load_state_dict(weights)
    places = [value.data_ptr() for state in optimizer.state.values() for value in state.values() if value is not None]
    restore_in_place(optimizer, moments)
    assert places == [
        value.data_ptr() for state in optimizer.state.values() for value in state.values() if value is not None
    ]
    for found, wanted in zip(train(model, optimizer, 3), expected, strict=True):
        assert torch.equal(found, wanted)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_rate_in_a_tensor_trains_as_a_number_does(recipe: str) -> None:
    (model, optimizer), (other_model, other) = network(recipe), network(recipe)
    rate = torch.tensor(1.0)
    other.param_groups[0]["lr"] = rate
    for step in range(3):
        set_learning_rate(optimizer, 0.1 / (step + 1))
        set_learning_rate(other, 0.1 / (step + 1))
        for found, wanted in zip(train(other_model, other, 1), train(model, optimizer, 1), strict=True):
            torch.testing.assert_close(found, wanted)
    assert other.param_groups[0]["lr"] is rate
