"""Whole models: torch's, built after `torch.manual_seed`, and the twin that `jaxinit.nnx` fills from that seed."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

from ..checks.check import Check, Evidence, exact
from ..modules import pairs
from ..modules.pairs.pair import State, Twin
from ..reference import torch_init
from ..targets import Target
from .bits import TO_THE_BIT, Likeness, Tolerance
from .calls import APART, NEAR, SAME_BITS

Fill = Callable[[Twin, Any, list[str]], Any]
"""From a twin, a generator and torch's names in torch's order to the model."""

ALLOWED = TO_THE_BIT if SAME_BITS else Tolerance(NEAR, APART)
"""Where numbers differ they are an embedding's, whose std is 1."""


def checks(target: Target, ours: Any, seed: int, quick: bool) -> Iterator[Check]:
    """Each twin built and filled in one by `ours`, and filled when it was built before, in torch's order by `order`."""

    def init(twin: Twin, generator: Any, _: list[str]) -> Any:
        return ours.init(lambda rngs: _tied(twin, twin.ours(rngs)), generator)

    def reset(twin: Twin, generator: Any, names: list[str]) -> Any:
        model = _tied(twin, twin.blank())
        ours.reset_parameters(model, generator, order=names)
        return model

    for twin in (*pairs.LAYERS, *pairs.MODELS):
        if twin.quick or not quick:
            for name, fill in (("init", init), ("reset_parameters", reset)):
                evaluate = functools.partial(_evaluate, target, ours, twin, seed, fill)
                yield exact(twin.name, f"replay {name}", twin.case, evaluate)


def _evaluate(target: Target, ours: Any, twin: Twin, seed: int, fill: Fill) -> Evidence:
    with torch_init.seeded(seed):
        module = twin.theirs()
        left = torch.get_rng_state().numpy()
    generator = target.namespace.TorchGenerator(seed, exact=True)
    model = fill(twin, generator, list(module.state_dict()))
    loaded = twin.blank()
    ours.load(loaded, _state(twin, module))
    likeness = Likeness()
    expected, filled = _arrays(loaded), _arrays(_copied(twin, model))
    for path, array in expected.items():
        likeness.add(filled[path], array, ALLOWED)
    likeness.add_states(generator.get_state(), left)
    return _counted(likeness.evidence(ALLOWED), expected, filled)


def _counted(evidence: Evidence, expected: State, filled: State) -> Evidence:
    same = sum(np.array_equal(filled[path], array) for path, array in expected.items())
    seen = f"{same} of {len(expected)} arrays equal, {evidence.observed}"
    return Evidence(evidence.passed, seen, evidence.expected, samples=evidence.samples)


def _state(twin: Twin, module: torch.nn.Module) -> State:
    tensors = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    state = {name: tensor.numpy().copy() for name, tensor in tensors.items()}
    twin.without(state)
    return state


def _arrays(model: Any) -> State:
    """Parameters and statistics by their paths."""
    flat = nnx.to_flat_state(nnx.state(model, (nnx.Param, nnx.BatchStat)))
    return {".".join(map(str, path)): np.asarray(jax.tree.leaves(leaf)[0]) for path, leaf in flat}


def _tied(twin: Twin, model: Any) -> Any:
    """With one layer where torch copies one: it is drawn once."""
    layers = twin.copied(model)
    for index in range(1, len(layers)):
        layers[index] = layers[0]
    return model


def _copied(twin: Twin, model: Any) -> Any:
    """With copies of that layer."""
    layers = twin.copied(model)
    for index in range(1, len(layers)):
        layers[index] = nnx.clone(layers[0])
    return model
