"""The size of activations and gradients in a new model, layer by layer, on one input.

Both models are as they are when training starts, over as many seeds each.
"""

import functools
import math
import zlib
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from ..checks.check import PlannedCheck, Result
from ..reference import torch_init
from ..statistics.tests import Rates, TwoMeans
from .hooks import noted
from .pairs.compile import compile_unoptimized
from .pairs.pair import ModelPair

SEEDS = 32
DETECTED = {"activations": math.log(3), "gradients": math.log(8)}
"""Logarithms of ratios. A gain that is off by 5% in each of 50 layers changes the gradient of the first twelvefold."""

Signals = dict[str, np.ndarray]
"""Logarithms of standard deviations by the name of the layer, one for each seed."""

TORCH_LAYERS = torch.nn.Linear, torch.nn.Conv2d, torch.nn.ConvTranspose2d
FLAX_LAYERS = nnx.Linear, nnx.Conv, nnx.ConvTranspose


class Experiment:
    """Represent the signals of both models for one input, and one direction to differentiate in."""

    def __init__(self, pair: ModelPair, rng: np.random.Generator) -> None:
        self._pair = pair
        self._inputs = pair.input_arrays(rng)
        with torch_init.seeded(0):  # any seed will do, since only the shape is used
            output = pair.run_torch(pair.build_torch(), self._inputs)
        self._direction = rng.normal(size=output.shape).astype(np.float32)

    def torch_signals(self, seeds: range) -> tuple[Signals, Signals]:
        """Return activations and gradients in torch."""
        runs = []
        for seed in seeds:
            with torch_init.seeded(seed):
                runs.append(self.of_module(self._pair.build_torch()))
        return _stacked(runs)

    def of_module(self, module: torch.nn.Module) -> tuple[dict[str, float], dict[str, float]]:
        """Return activations and gradients of one torch module."""
        layers = {name: layer for name, layer in module.named_modules() if isinstance(layer, TORCH_LAYERS)}
        activations: dict[str, float] = {}

        def note(name: str, _: Any, __: Any, output: torch.Tensor) -> None:
            activations[name] = float(output.detach().std(correction=0).log())  # correction 0, as in jnp.std

        for name, layer in layers.items():
            layer.register_forward_hook(functools.partial(note, name))
        output = self._pair.call_torch(module.train(), *map(torch.from_numpy, self._inputs))
        projected = (output * torch.from_numpy(self._direction)).sum()
        gradients = torch.autograd.grad(projected, [layer.weight for layer in layers.values()])
        spreads = (float(gradient.std(correction=0).log()) for gradient in gradients)
        return activations, dict(zip(layers, spreads, strict=True))

    def flax_signals(self, reset: Any, key: jax.Array, seeds: range) -> tuple[Signals, Signals]:
        """Return activations and gradients in Flax, for models that `reset` draws."""
        inputs = [self._pair.to_flax(array) for array in self._inputs]
        direction = self._pair.to_flax(self._direction)

        def signals(index: jax.Array) -> Any:
            model = self._pair.blank()
            reset(model, jax.random.fold_in(key, index))
            graphdef, parameters, *others = nnx.split(model, nnx.Param, ...)

            def along(parameters: Any) -> Any:
                # Batch statistics are set here. Flax lets only the innermost trace do so, hence the copy.
                model = nnx.merge(graphdef, parameters, *jax.tree.map(lambda leaf: leaf, others))
                model.train()
                activations: dict[str, Any] = {}

                def note(path: str, layer: nnx.Module, output: Any) -> None:
                    if isinstance(layer, FLAX_LAYERS):
                        activations[path] = jnp.log(output.std())

                with noted(model, note):
                    output = self._pair.call_flax(model, *inputs)
                return (output * direction).sum(), activations

            gradients, activations = jax.grad(along, has_aux=True)(parameters)
            flat = {".".join(map(str, path)): jax.tree.leaves(leaf)[0] for path, leaf in nnx.to_flat_state(gradients)}
            kernels = {path.removesuffix(".kernel"): leaf for path, leaf in flat.items() if path.endswith(".kernel")}
            return activations, {name: jnp.log(kernel.std()) for name, kernel in kernels.items()}

        program = compile_unoptimized(signals, np.uint32(0))
        return _stacked([program(np.uint32(seed)) for seed in seeds])


def _stacked(runs: list[tuple[dict[str, Any], dict[str, Any]]]) -> tuple[Signals, Signals]:
    first, second = (
        {name: np.array([float(run[which][name]) for run in runs]) for name in runs[0][which]} for which in (0, 1)
    )
    return first, second


def checks(pair: ModelPair, reset: Any, seed: int) -> Iterator[PlannedCheck]:
    """Yield the checks that signals are as large as in torch, on average over seeds, in every layer."""
    own = seed, zlib.crc32(pair.name.encode())

    @functools.cache
    def signals() -> tuple[tuple[Signals, Signals], tuple[Signals, Signals]]:
        experiment = Experiment(pair, np.random.default_rng(own))
        key = jax.random.fold_in(jax.random.key(seed), own[1])
        return experiment.torch_signals(range(seed, seed + SEEDS)), experiment.flax_signals(reset, key, range(SEEDS))

    def judge(which: int, claim: str, rates: Rates) -> Result:
        in_torch, in_flax = signals()
        return _compared(in_torch[which], in_flax[which], DETECTED[claim], rates)

    for which, claim in enumerate(DETECTED):
        yield PlannedCheck(pair.name, claim, pair.case, functools.partial(judge, which, claim), statistic=TwoMeans.name)


def _compared(in_torch: Signals, in_flax: Signals, detected: float, rates: Rates) -> Result:
    """Judge the worst of the layers, which share the rates."""
    if set(in_torch) != set(in_flax):
        return Result(False, f"layers {sorted(in_flax)}", f"layers {sorted(in_torch)}")
    rates, samples = rates.over(len(in_torch)), len(next(iter(in_torch.values())))
    gaps = {name: abs(float(in_torch[name].mean() - in_flax[name].mean())) for name in in_torch}
    spreads = {name: math.sqrt((in_torch[name].var(ddof=1) + in_flax[name].var(ddof=1)) / 2) for name in in_torch}
    thresholds = {name: TwoMeans(spread).threshold(samples, rates) for name, spread in spreads.items()}
    detectable = TwoMeans(max(spreads.values())).detectable(samples, rates)
    largest, worst = (max(gaps, key=by) for by in (gaps.__getitem__, lambda name: gaps[name] / thresholds[name]))
    return Result(
        gaps[worst] <= thresholds[worst] and detectable <= detected,
        f"ratio {math.exp(gaps[largest]):.3f} of {largest}, the largest of {len(gaps)}",
        f"at most {math.exp(thresholds[worst]):.3f} of {worst}",
        f"ratio {math.exp(detectable):.3g}",
        samples,
    )
