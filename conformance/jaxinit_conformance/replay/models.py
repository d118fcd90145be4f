"""Whole models: torch's, built after `torch.manual_seed`, and the pair that `jaxinit.nnx` fills from that seed."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

from ..checks.check import PlannedCheck, Result, exact
from ..modules import pairs
from ..modules.pairs.pair import ModelPair, State
from ..reference import torch_init
from ..targets import Target
from .bits import TO_THE_BIT, BitComparison, Tolerance
from .calls import APART, NEAR, SAME_BITS

Fill = Callable[[ModelPair, Any, list[str]], Any]
"""From a pair, a generator and torch's names in torch's order to the model."""

ALLOWED = TO_THE_BIT if SAME_BITS else Tolerance(NEAR, APART)
"""Where numbers differ they are an embedding's, whose std is 1."""


def checks(target: Target, ours: Any, seed: int, quick: bool) -> Iterator[PlannedCheck]:
    """Each pair built and filled in one by `ours`, and filled when it was built before, in torch's order by `order`."""

    def init(pair: ModelPair, generator: Any, _: list[str]) -> Any:
        return ours.init(lambda rngs: _tied(pair, pair.build_flax(rngs)), generator)

    def reset(pair: ModelPair, generator: Any, names: list[str]) -> Any:
        model = _tied(pair, pair.blank())
        ours.reset_parameters(model, generator, order=names)
        return model

    for pair in (*pairs.LAYERS, *pairs.MODELS):
        if pair.quick or not quick:
            for name, fill in (("init", init), ("reset_parameters", reset)):
                evaluate = functools.partial(_evaluate, target, ours, pair, seed, fill)
                yield exact(pair.name, f"replay {name}", pair.case, evaluate)


def _evaluate(target: Target, ours: Any, pair: ModelPair, seed: int, fill: Fill) -> Result:
    with torch_init.seeded(seed):
        module = pair.build_torch()
        left = torch.get_rng_state().numpy()
    generator = target.namespace.TorchGenerator(seed, exact=True)
    model = fill(pair, generator, list(module.state_dict()))
    loaded = pair.blank()
    ours.load(loaded, _state(pair, module))
    comparison = BitComparison()
    expected, filled = _arrays(loaded), _arrays(_copied(pair, model))
    for path, array in expected.items():
        comparison.add(filled[path], array, ALLOWED)
    comparison.add_states(generator.get_state(), left)
    return _counted(comparison.result(ALLOWED), expected, filled)


def _counted(result: Result, expected: State, filled: State) -> Result:
    same = sum(np.array_equal(filled[path], array) for path, array in expected.items())
    seen = f"{same} of {len(expected)} arrays equal, {result.observed}"
    return Result(result.passed, seen, result.expected, samples=result.samples)


def _state(pair: ModelPair, module: torch.nn.Module) -> State:
    tensors = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    state = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
    pair.without(state)
    return state


def _arrays(model: Any) -> State:
    """Parameters and statistics by their paths."""
    flat = nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    return {".".join(map(str, path)): np.asarray(jax.tree.leaves(leaf)[0]) for path, leaf in flat}


def _tied(pair: ModelPair, model: Any) -> Any:
    """With one layer where torch copies one: it is drawn once."""
    layers = pair.copied(model)
    for index in range(1, len(layers)):
        layers[index] = layers[0]
    return model


def _copied(pair: ModelPair, model: Any) -> Any:
    """With copies of that layer."""
    layers = pair.copied(model)
    for index in range(1, len(layers)):
        layers[index] = nnx.clone(layers[0])
    return model
