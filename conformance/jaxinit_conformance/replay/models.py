"""Whole models: a torch model built after `torch.manual_seed`, and the Flax model filled from that seed."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from flax import nnx

from ..checks.check import PlannedCheck, Result, exact
from ..modules import pairs
from ..modules.pairs.pair import ModelPair, leaves, tensors
from ..reference import torch_init
from ..targets import Target
from .bits import TO_THE_BIT, BitComparison, Tolerance
from .calls import APART, NEAR, SAME_BITS, new_generator

Fill = Callable[[ModelPair, Any, list[str]], Any]
"""From a pair, a generator and the names of the torch tensors in order to the Flax model."""

ALLOWED = TO_THE_BIT if SAME_BITS else Tolerance(NEAR, APART)
"""Numbers that may differ are those of an embedding, whose std is 1."""


def checks(target: Target, seed: int, quick: bool) -> Iterator[PlannedCheck]:
    """Yield two checks of each pair: built and filled by `init`, and built before and filled with `order`."""

    def init(pair: ModelPair, generator: Any, _: list[str]) -> Any:
        return target.nnx.init(lambda rngs: _tied(pair, pair.build_flax(rngs)), generator)

    def reset(pair: ModelPair, generator: Any, names: list[str]) -> Any:
        model = _tied(pair, pair.blank())
        target.nnx.reset_parameters(model, generator, order=names)
        return model

    for pair in (*pairs.LAYERS, *pairs.MODELS):
        if pair.quick or not quick:
            for name, fill in (("init", init), ("reset_parameters", reset)):
                yield exact(pair.name, f"replay {name}", pair.case, functools.partial(_judge, target, pair, seed, fill))


def _judge(target: Target, pair: ModelPair, seed: int, fill: Fill) -> Result:
    with torch_init.seeded(seed):
        module = pair.build_torch()
        state = torch.get_rng_state().numpy()
    generator = new_generator(target, seed)
    model = fill(pair, generator, list(module.state_dict()))
    loaded, weights = pair.blank(), tensors(module)
    pair.without(weights)
    target.nnx.load(loaded, weights)
    return _compared(leaves(loaded), leaves(_copied(pair, model)), state, generator.get_state())


def _compared(expected: dict[str, Any], filled: dict[str, Any], in_torch: np.ndarray, state: np.ndarray) -> Result:
    comparison = BitComparison()
    for path, array in expected.items():
        comparison.add(np.asarray(filled[path]), np.asarray(array), ALLOWED)
    comparison.add_states(state, in_torch)
    result = comparison.result(ALLOWED)
    same = sum(np.array_equal(filled[path], array) for path, array in expected.items())
    seen = f"{same} of {len(expected)} arrays equal, {result.observed}"
    return Result(result.passed, seen, result.expected, samples=result.samples)


def _tied(pair: ModelPair, model: Any) -> Any:
    """Return the model with one layer where torch copies one, so that it is drawn once."""
    layers = pair.copied(model)
    for index in range(1, len(layers)):
        layers[index] = layers[0]
    return model


def _copied(pair: ModelPair, model: Any) -> Any:
    """Return the model with copies of that layer."""
    layers = pair.copied(model)
    for index in range(1, len(layers)):
        layers[index] = nnx.clone(layers[0])
    return model
