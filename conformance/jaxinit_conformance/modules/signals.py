"""How large signals are in a new model: what each layer puts out, and the gradient of each kernel, on one input.

In torch and in the NNX pair, both as they are when training starts, over as many seeds each.
"""

import contextlib
import functools
import math
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from ..checks.check import PlannedCheck, Result
from ..reference import torch_init
from ..statistics.tests import Rates, TwoMeans
from .pairs.compile import compile_unoptimized
from .pairs.pair import ModelPair

SEEDS = 32
PROMISED = {"activations": math.log(3), "gradients": math.log(8)}
"""Logarithms of ratios; a gain that is off by 5% in each of 50 layers changes the gradient of the first twelvefold."""

Signals = dict[str, np.ndarray]
"""Logarithms of standard deviations by the layer's name, one for each seed."""

THEIRS = torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d
OURS = nnx.Linear, nnx.Conv, nnx.ConvTranspose


class Experiment:
    """One input, one direction to differentiate in, and both models' signals."""

    def __init__(self, pair: ModelPair, rng: np.random.Generator) -> None:
        self._pair = pair
        self._inputs = pair.input_arrays(rng)
        with torch_init.seeded(0):  # of no consequence: the shape alone is looked at
            output = pair.run_torch(pair.build_torch(), self._inputs)
        self._direction = rng.normal(size=output.shape).astype(np.float32)

    def theirs(self, seeds: range) -> tuple[Signals, Signals]:
        """Activations and gradients in torch."""
        runs = []
        for seed in seeds:
            with torch_init.seeded(seed):
                runs.append(self.of_torch(self._pair.build_torch()))
        return _stacked(runs)

    def ours(self, reset: Any, key: jax.Array, seeds: range) -> tuple[Signals, Signals]:
        """Activations and gradients in NNX, set by a target's `reset_parameters`."""
        inputs = [self._pair.to_flax(array) for array in self._inputs]
        direction = self._pair.to_flax(self._direction)

        def signals(index: jax.Array) -> Any:
            model = self._pair.blank()
            reset(model, jax.random.fold_in(key, index))
            graphdef, parameters, *others = nnx.split(model, nnx.Param, ...)

            def along(parameters: Any) -> Any:
                # Statistics are set on the way: by a copy, since Flax lets only the innermost trace set them.
                model = nnx.merge(graphdef, parameters, *jax.tree.map(lambda leaf: leaf, others))
                model.train()
                with _noted(model) as activations:
                    output = self._pair.call_flax(model, *inputs)
                return (output * direction).sum(), activations

            gradients, activations = jax.grad(along, has_aux=True)(parameters)
            flat = {".".join(map(str, path)): jax.tree.leaves(leaf)[0] for path, leaf in nnx.to_flat_state(gradients)}
            kernels = {path.removesuffix(".kernel"): leaf for path, leaf in flat.items() if path.endswith(".kernel")}
            return activations, {name: jnp.log(kernel.std()) for name, kernel in kernels.items()}

        program = compile_unoptimized(signals, np.uint32(0))
        return _stacked([program(np.uint32(seed)) for seed in seeds])

    def of_torch(self, module: torch.nn.Module) -> tuple[dict[str, float], dict[str, float]]:
        """Activations and gradients of one module."""
        layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, THEIRS)}
        activations: dict[str, float] = {}
        for name, layer in layers.items():
            layer.register_forward_hook(_noting(activations, name))
        output = self._pair.call_torch(module.train(), *map(torch.from_numpy, self._inputs))
        projected = (output * torch.from_numpy(self._direction)).sum()
        gradients = torch.autograd.grad(projected, [layer.weight for layer in layers.values()])
        spreads = (float(gradient.std(correction=0).log()) for gradient in gradients)
        return activations, dict(zip(layers, spreads, strict=True))


def _noting(into: dict[str, float], name: str) -> Callable[..., None]:
    def note(_: torch.nn.Module, __: Any, output: torch.Tensor) -> None:
        into[name] = float(output.detach().std(correction=0).log())

    return note


@contextlib.contextmanager
def _noted(model: Any) -> Iterator[dict[str, Any]]:
    """What each layer of the model puts out while this lasts; Flax has no hooks: its classes' calls are exchanged."""
    names = {id(layer): ".".join(map(str, path)) for path, layer in nnx.iter_graph(model) if isinstance(layer, OURS)}
    activations: dict[str, Any] = {}
    calls = {kind: kind.__call__ for kind in OURS}

    def exchanged(kind: Any) -> Callable[..., Any]:
        def call(layer: Any, *inputs: Any) -> Any:
            output = calls[kind](layer, *inputs)
            activations[names[id(layer)]] = jnp.log(output.std())
            return output

        return call

    for kind in OURS:
        kind.__call__ = exchanged(kind)  # type: ignore[method-assign]  # in place of a hook
    try:
        yield activations
    finally:
        for kind, call in calls.items():
            kind.__call__ = call  # type: ignore[method-assign]  # Flax's own again


def _stacked(runs: list[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[Signals, Signals]:
    first, second = (
        {name: np.array([float(run[which][name]) for run in runs]) for name in runs[0][which]} for which in (0, 1)
    )
    return first, second


def checks(pair: ModelPair, reset: Any, seed: int) -> Iterator[PlannedCheck]:
    """Whether signals are as large as in torch, on average over seeds, layer by layer."""
    own = seed, zlib.crc32(pair.name.encode())

    @functools.cache
    def signals() -> tuple[tuple[Signals, Signals], tuple[Signals, Signals]]:
        experiment = Experiment(pair, np.random.default_rng(own))
        key = jax.random.fold_in(jax.random.key(seed), own[1])
        return experiment.theirs(range(seed, seed + SEEDS)), experiment.ours(reset, key, range(SEEDS))

    def judge(which: int, claim: str, rates: Rates) -> Result:
        theirs, ours = signals()
        return _compared(theirs[which], ours[which], PROMISED[claim], rates)

    for which, claim in enumerate(PROMISED):
        yield PlannedCheck(pair.name, claim, pair.case, functools.partial(judge, which, claim), statistic=TwoMeans.name)


def _compared(theirs: Signals, ours: Signals, promised: float, rates: Rates) -> Result:
    """The worst of the layers; they share the rates."""
    if set(theirs) != set(ours):
        return Result(False, f"layers {sorted(ours)}", f"layers {sorted(theirs)}")
    rates = rates.over(len(theirs))
    gaps = {name: abs(float(theirs[name].mean() - ours[name].mean())) for name in theirs}
    statistics = {name: TwoMeans(math.sqrt((theirs[name].var(ddof=1) + ours[name].var(ddof=1)) / 2)) for name in theirs}
    samples = len(theirs[next(iter(theirs))])
    thresholds = {name: statistic.threshold(samples, rates) for name, statistic in statistics.items()}
    detectable = max(statistic.detectable(samples, rates) for statistic in statistics.values())
    largest, worst = (max(gaps, key=by) for by in (gaps.__getitem__, lambda name: gaps[name] / thresholds[name]))
    return Result(
        gaps[worst] <= thresholds[worst] and detectable <= promised,
        f"ratio {math.exp(gaps[largest]):.3f} of {largest}, the largest of {len(gaps)}",
        f"at most {math.exp(thresholds[worst]):.3f} of {worst}",
        f"ratio {math.exp(detectable):.3g}",
        samples,
    )
