"""Signals of torch and of NNX: the same numbers for the same weights, and gaps that are noticed."""

from typing import Any

import jax
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit_conformance import suite
from jaxinit_conformance.faults import catch
from jaxinit_conformance.faults.modules import drawn, only, scaled
from jaxinit_conformance.modules import signals
from jaxinit_conformance.modules.pairs import mlp

RATES = catch.CHECK_RATES
PAIR = mlp.pair(depth=6, width=48)


def result(nnx: Any, seed: int) -> dict[str, Any]:
    with jax.enable_x64(True):
        return {check.claim: suite.evaluate(check, RATES) for check in signals.checks(PAIR, nnx.reset_parameters, seed)}


def test_signals_are_as_large_as_in_torch(seed: int) -> None:
    assert all(seen.passed for seen in result(jaxinit.nnx, seed).values())


def test_kernels_too_large_show_in_both(seed: int) -> None:
    found = result(drawn(only("kernel", scaled(1.5))), seed)
    assert not found["activations"].passed
    assert not found["gradients"].passed
    assert "layers." in found["activations"].observed


def test_equal_weights_give_equal_signals(rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    # A ReLU of what rounds to the other side of 0 has another gradient.
    monkeypatch.setattr(torch.Tensor, "relu", lambda x: torch.nn.functional.softplus(x))
    monkeypatch.setattr(nnx, "relu", nnx.softplus)
    experiment = signals.Experiment(PAIR, rng)
    module = PAIR.build_torch()
    weights = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
    in_torch = experiment.of_module(module)
    in_flax = experiment.flax_signals(lambda model, _: jaxinit.nnx.load(model, weights), jax.random.key(0), range(1))
    for which in (0, 1):
        assert set(in_torch[which]) == set(in_flax[which]) == {f"layers.{index}" for index in range(6)}
        for name, value in in_torch[which].items():
            assert in_flax[which][name][0] == pytest.approx(value, abs=1e-4)
