from __future__ import annotations

import math
from typing import Any

import pytest
import tiny
import torch
from training import run

from ablations.execution import train
from ablations.execution.data import DataSource
from ablations.execution.recipe import learning_rate
from ablations.trial import TrainConfig


def recipe(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({"epochs": 4, "batch_size": 8, "lr": 0.1, **changes})


def test_a_constant_learning_rate_is_constant() -> None:
    assert [learning_rate(recipe(), step, 5) for step in range(20)] == [0.1] * 20


def test_a_cosine_falls_from_the_peak_towards_zero() -> None:
    rates = [learning_rate(recipe(schedule="cosine"), step, 5) for step in range(20)]
    assert rates[0] == 0.1
    assert rates[10] == pytest.approx(0.05)
    assert rates[5] == pytest.approx(0.1 * (1 + math.cos(math.pi / 4)) / 2)
    assert 0 < rates[-1] < 0.001
    assert rates == sorted(rates, reverse=True)


def test_a_warm_up_rises_in_equal_steps_to_the_peak() -> None:
    rates = [learning_rate(recipe(schedule="cosine", warmup_epochs=0.8), step, 5) for step in range(20)]
    assert rates[:5] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1])
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert learning_rate(recipe(warmup_epochs=0.8), 19, 5) == 0.1


def test_the_scheduled_rate_reaches_the_optimizer(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[float] = []
    original = torch.optim.SGD.step

    def spying(self: torch.optim.SGD, *rest: Any) -> Any:
        used.append(self.param_groups[0]["lr"])
        return original(self, *rest)

    monkeypatch.setattr(torch.optim.SGD, "step", spying)
    spec = tiny.trial(train__schedule="cosine", train__warmup_epochs=1)
    run(spec, source)
    assert used == [learning_rate(spec.config.train, step, 6) for step in range(18)]


def test_bf16_and_fp32_differ_by_rounding_only(source: DataSource) -> None:
    bf16, fp32 = (run(tiny.trial(train__precision=p, train__epochs=1), source) for p in ("bf16", "fp32"))
    assert bf16 is not None
    assert fp32 is not None
    losses = bf16.epochs[0].train_loss, fp32.epochs[0].train_loss
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_precision_is_that_of_the_plan(source: DataSource, monkeypatch: pytest.MonkeyPatch) -> None:
    enabled: set[tuple[torch.dtype, bool]] = set()
    original = train.autocast

    def spying(*args: Any) -> torch.autocast:
        context = original(*args)
        enabled.add((context.fast_dtype, context._enabled))
        return context

    monkeypatch.setattr(train, "autocast", spying)
    run(tiny.trial(train__precision="bf16", train__epochs=1), source)
    assert enabled == {(torch.bfloat16, True)}
    enabled.clear()
    run(tiny.trial(train__precision="fp32", train__epochs=1), source)
    assert {on for _, on in enabled} == {False}


def test_nesterov_without_momentum_is_plain_descent(source: DataSource) -> None:
    plain, nesterov = (
        tiny.finish(train.run_trial(tiny.trial(train__momentum=0.0, train__nesterov=each), source, None))
        for each in (False, True)
    )
    assert [e.train_loss for e in plain.epochs] == [e.train_loss for e in nesterov.epochs]  # type: ignore[union-attr]
