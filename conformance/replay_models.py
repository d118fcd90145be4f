"""Whole models: torch's, built after `torch.manual_seed`, and the twin that `jaxinit.nnx` fills from that seed."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
import torch
from flax import nnx

from conformance import reference, twins
from conformance.checks import Check, Evidence, exact
from conformance.likeness import TO_THE_BIT, Likeness, Tolerance
from conformance.replay_calls import SAME_BITS
from conformance.targets import Target
from conformance.twins.twin import State, Twin

Fill = Callable[[Twin, Any, list[str]], Any]
"""From a twin, a generator and torch's names in torch's order to the model."""

NEAR = Tolerance(2.0**-20, "at most 2**-20 apart")


def checks(target: Target, seed: int, quick: bool) -> Iterator[Check]:
    """Each twin built and filled in one, and filled when it was built before, in torch's order by `order`."""
    ours = getattr(target.namespace, "nnx", None)
    if ours is None:
        return

    def init(twin: Twin, generator: Any, _: list[str]) -> Any:
        return ours.init(lambda rngs: _tied(twin, twin.ours(rngs)), generator)

    def reset(twin: Twin, generator: Any, names: list[str]) -> Any:
        model = _tied(twin, twin.blank())
        ours.reset_parameters(model, generator, order=names)
        return model

    for twin in (*twins.LAYERS, *twins.MODELS):
        if twin.quick or not quick:
            for name, fill in (("init", init), ("reset_parameters", reset)):
                yield exact(twin.name, f"replay {name}", twin.case, _evaluation(target, twin, seed, fill))


def _evaluation(target: Target, twin: Twin, seed: int, fill: Fill) -> Callable[[], Evidence]:
    return lambda: _evaluate(target, twin, seed, fill)


def _evaluate(target: Target, twin: Twin, seed: int, fill: Fill) -> Evidence:
    with reference.seeded(seed):
        module = twin.theirs()
        left = torch.get_rng_state().numpy()
    generator = target.namespace.TorchGenerator(seed, exact=True)
    model = fill(twin, generator, list(module.state_dict()))
    loaded = twin.blank()
    target.namespace.nnx.load(loaded, _state(twin, module))
    likeness, tolerance = Likeness(), TO_THE_BIT if SAME_BITS else NEAR
    expected, filled = _arrays(loaded), _arrays(_copied(twin, model))
    for path, array in expected.items():
        likeness.add(filled[path], array, tolerance)
    likeness.add_states(generator.get_state(), left)
    return _counted(likeness.evidence(tolerance), expected, filled)


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
