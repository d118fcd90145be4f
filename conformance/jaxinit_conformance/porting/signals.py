"""The size of activations and gradients in new models, layer by layer, on one input and over several seeds.

A wrong distribution is told by the comparison of draws. This says what it does to training: how signals grow or fade.
The gradient is that of the mean square of the output, which does not depend on the order of axes.
"""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from ..modules.pairs.compile import compile_unoptimized
from ..statistics.tests import Rates, TwoMeans
from . import torch_model
from .finding import Finding, Signal
from .inputs import Call, Inputs
from .models.model import Arrays, PortModel
from .sources import Matching

SEEDS = 8
NOTABLE = math.log(1.5)
"""The logarithm of the least ratio that is a finding, beyond what chance explains."""

Logs = dict[str, float]
"""Logarithms of standard deviations, by path in the port."""


def compare(
    modules: Sequence[torch.nn.Module],
    port: PortModel,
    model: Any,
    arrays: Sequence[Arrays],
    matching: Matching,
    pairs: Mapping[str, str],
    inputs: Inputs,
    wide: bool,
    rates: Rates,
) -> tuple[Signal, ...]:
    """Return the mean signals of new models, in the order in which torch computes them.

    `pairs` are the paths of the port's modules by torch's names.
    `arrays` are those of the new models of the port, and each replaces the arrays of `model`. The inputs of the port
    are float64 if it is `wide`.
    """
    whole, paths = _whole(matching), set(pairs.values())
    in_torch = [_in_torch(module, whole, pairs, inputs) for module in modules]
    measure = compile_unoptimized(lambda own: _in_flax(port, model, own, whole, paths, inputs.flax(wide)), arrays[0])
    in_flax = [measure(own) for own in arrays]
    quantities = ("activations", "gradients")
    return tuple(each for name in quantities for each in _signals(name, in_torch, in_flax, rates))


def _in_torch(
    module: torch.nn.Module, whole: Mapping[str, str], pairs: Mapping[str, str], inputs: Inputs
) -> dict[str, Logs]:
    module = module.eval().double()
    output, inner = torch_model.run(module, *inputs.torch(wide=True))
    every = {path: module.get_parameter(name) for path, name in whole.items()}
    weights = {path: weight for path, weight in every.items() if weight.requires_grad}
    loss = (output**2).mean() / 2
    grads = torch.autograd.grad(loss, list(weights.values()), allow_unused=True) if weights else ()
    return {
        "activations": {pairs[name]: _log(array.detach().numpy()) for name, array in inner.items() if name in pairs},
        "gradients": {path: _log(grad.numpy()) for path, grad in zip(weights, grads, strict=True) if grad is not None},
    }


def _in_flax(
    port: PortModel, model: Any, arrays: Arrays, weights: Collection[str], paths: Collection[str], call: Call
) -> Any:
    def loss(arrays: Any) -> Any:
        output, inner = port.run(port.with_arrays(model, arrays), *call)
        return (output**2).mean() / 2, {path: jnp.log(jnp.std(inner[path])) for path in paths if path in inner}

    grads, activations = jax.grad(loss, has_aux=True)(arrays)
    return {"activations": activations, "gradients": {path: jnp.log(jnp.std(grads[path])) for path in weights}}


def _whole(matching: Matching) -> dict[str, str]:
    """Return torch's name of each weight that both models have as one tensor, by path."""
    uses = [name for own in matching.tensors.values() for name in own]
    arrays = {part.path: part.where for part in matching.parts}
    return {
        path: own[0]
        for path, own in matching.tensors.items()
        if len(own) == 1 and uses.count(own[0]) == 1 and path in arrays and arrays[path].ndim > 1
    }


def _log(array: np.ndarray) -> float:
    std = float(array.std())
    return math.log(std) if std > 0 else -math.inf


def _signals(
    quantity: Any, in_torch: Sequence[Mapping[str, Logs]], in_flax: Sequence[Mapping[str, Any]], rates: Rates
) -> Iterator[Signal]:
    paths = [path for path in in_torch[0][quantity] if path in in_flax[0][quantity]]
    for path in paths:
        ours, theirs = (np.array([float(run[quantity][path]) for run in runs]) for runs in (in_flax, in_torch))
        if np.isfinite([ours, theirs]).all():
            spread = math.sqrt((ours.var(ddof=1) + theirs.var(ddof=1)) / 2)
            chance = TwoMeans(spread).threshold(SEEDS, rates.over(2 * len(paths)))
            yield Signal(path, quantity, math.exp(theirs.mean()), math.exp(ours.mean()), math.exp(chance))


def findings(signals: Sequence[Signal]) -> Iterator[Finding]:
    """Yield the first layer whose activations differ. Gradients are shown only: torch trains no row of padding."""
    for each in signals:
        ratio = abs(math.log(each.port / each.torch))
        if each.quantity == "activations" and ratio > max(math.log(each.threshold), NOTABLE):
            sizes = f"std {each.torch:.3g} in torch and {each.port:.3g} in the port"
            yield Finding(each.path, "signal", f"`{each.path}`: in a new model the activations have {sizes}")
            return
