"""The parts of a captured step that a CPU can run; tests/gpu has the rest."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from ablations.execution.capture import undone
from ablations.execution.recipe import make_optimizer, set_learning_rate
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


def noisy_network(recipe: str) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """One that draws, and keeps statistics, one of which no checkpoint would hold."""
    linear, optimizer = network(recipe)
    normalization = torch.nn.BatchNorm1d(3)
    normalization.register_buffer("running_var", torch.ones(3), persistent=False)
    return torch.nn.Sequential(linear, normalization, torch.nn.Dropout(0.5)), optimizer


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> list[torch.Tensor]:
    for step in range(steps):
        optimizer.zero_grad()
        model(torch.arange(8.0).reshape(2, 4) + step).square().sum().backward()
        optimizer.step()
    return [parameter.detach().clone() for parameter in model.parameters()]


def everything(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> list[torch.Tensor]:
    """All tensors that a step changes."""
    moments = [value for state in optimizer.state.values() for value in state.values() if value is not None]
    return [*model.parameters(), *model.buffers(), *moments]


@pytest.mark.parametrize("done", [0, 2])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_training_goes_on_as_if_it_had_not_warmed_up(recipe: str, done: int) -> None:
    other_model, other = noisy_network(recipe)  # which seeds the generator, too
    train(other_model, other, done)
    expected = train(other_model, other, 3)

    model, optimizer = noisy_network(recipe)
    train(model, optimizer, done)
    model.eval()
    with undone(model, optimizer):
        assert model.training
        train(model, optimizer, 3)
        places = [tensor.data_ptr() for tensor in everything(model, optimizer)]
    assert not model.training
    assert [tensor.data_ptr() for tensor in everything(model, optimizer)] == places
    model.train()
    for found, wanted in zip(train(model, optimizer, 3), expected, strict=True):
        assert torch.equal(found, wanted)
    for one, another in zip(model.buffers(), other_model.buffers(), strict=True):
        assert torch.equal(one, another)


def test_an_error_while_warming_up_is_the_one_that_is_told() -> None:
    model, optimizer = network("sgd")
    with pytest.raises(MemoryError), undone(model, optimizer):
        raise MemoryError


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
