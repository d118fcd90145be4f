"""Compare a model of Flax or Equinox with the torch model that it was ported from."""

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

import jaxinit

from .. import suite
from ..statistics.tests import RATES
from . import draws, outputs, seeds, signals, torch_model
from .finding import Finding, Output, PortReport, Signal
from .inputs import Inputs
from .models.choose import port_model
from .models.model import Arrays, PortModel, widened
from .sources import Matching, match


def port(
    torch_build: Callable[[], torch.nn.Module],
    flax_build: Callable[..., Any],
    inputs: Any = None,
    *,
    rename: Any = None,
    transposed: Any = None,
    seed: int | None = None,
) -> PortReport:
    """Compare a model of Flax or Equinox with the torch model that it was ported from.

    Parameters are matched as `jaxinit.nnx.load` matches them. Each is drawn from many keys and tested
    against torch's distribution, at the error rates of the suite. With torch's weights, outputs are
    compared module by module in float64, and new models by the size of activations and gradients. A port
    that fails in float64 is compared in float32.

    Args:
        torch_build: called without arguments. Return the torch module.
        flax_build: called with `nnx.Rngs`. Return the NNX model. For Linen, take no argument and return
            the module, or a pair `(module, init)`. `init` is called with a key and the inputs, and returns the
            variables. For Equinox, take a `key` and return the model, or a pair of the model and its state.
        inputs: what both models are called with: an array, a tuple of arguments or a dict of keyword
            arguments. `{"torch": ..., "flax": ...}` for models that take different ones. Without
            inputs, no outputs are compared. A model of Equinox is called once for each entry of axis 0.
        rename: as for `jaxinit.nnx.load`.
        transposed: as for `jaxinit.nnx.load`.
        seed: a seed from which the port must replay torch's numbers. `flax_build` is called with a
            TorchGenerator. If it needs a key, `jaxinit.nnx.init` calls it. By default the report
            tells whether the numbers are torch's for seed 0, and does not ask for it.

    Returns:
        The report, with `.conforms`, `.findings` and `.save(folder)`.

    Raises:
        TypeError: a function returns no model.
        ValueError: no parameter of the port has a counterpart, or `inputs` are missing for Linen.

    Example:
        >>> report = port(lambda: torch.nn.Linear(64, 32), lambda rngs: nnx.Linear(64, 32, rngs=rngs))
        >>> sorted((finding.path, finding.kind) for finding in report.findings)
        [('bias', 'distribution'), ('kernel', 'distribution')]
    """
    chosen = suite.valid_seed(seed)
    calls = None if inputs is None else Inputs.of(inputs)
    options = {"rename": rename, "transposed": transposed}
    found = port_model(flax_build, None if calls is None else calls.flax(wide=False), options)
    return _Comparison(torch_build, found, calls, jax.random.key(chosen)).report(seed)


def assert_ported(
    torch_build: Callable[[], torch.nn.Module],
    flax_build: Callable[..., Any],
    inputs: Any = None,
    *,
    rename: Any = None,
    transposed: Any = None,
    seed: int | None = None,
) -> None:
    """Assert that `port` finds no difference.

    Args:
        torch_build: as for `port`.
        flax_build: as for `port`.
        inputs: as for `port`.
        rename: as for `port`.
        transposed: as for `port`.
        seed: as for `port`.

    Raises:
        AssertionError: there are findings. The message has a line for each, and one for those of blocks alike.

    Example:
        >>> assert_ported(lambda: torch.nn.Linear(64, 32), lambda rngs: nnx.Linear(64, 32, rngs=rngs))
        Traceback (most recent call last):
            ...
        AssertionError: ...
    """
    report = port(torch_build, flax_build, inputs, rename=rename, transposed=transposed, seed=seed)
    if not report.conforms:
        raise AssertionError("\n".join([report.verdict, *(finding.message for finding in report.summary)]))


@dataclasses.dataclass
class _Comparison:
    """Represent what the parts of a comparison share."""

    build: Callable[[], torch.nn.Module]
    port: PortModel
    inputs: Inputs | None
    key: jax.Array

    def report(self, seed: int | None) -> PortReport:
        own, for_draws, for_torch = jax.random.split(self.key, 3)
        module, model = torch_model.built(self.build, seed or 0), self.port.draw(own)
        drawing = draws.Draws(self.port, for_draws)
        with _wide():
            wide = widened(self.port, model)
            matching = match(module, self.port, wide)
        outside: tuple[Output, ...] = ()
        signal: tuple[Signal, ...] = ()
        if self.inputs is not None:
            models = drawing.models(signals.SEEDS)
            try:
                with _wide():
                    outside, signal = self._runs(module, wide, matching, models, self.inputs, wide=True)
            except TypeError:  # the port mixes its own float32 or int32 arrays with wide ones
                with jax.numpy_dtype_promotion("standard"):
                    outside, signal = self._runs(module, model, matching, models, self.inputs, wide=False)
        torch_draws = draws.TorchDraws(jaxinit.record(self.build), functools.partial(self._loaded, wide), for_torch)
        drawn = draws.compare(drawing, torch_draws, matching.parts, _RATES)
        replayed, problem = self._replayed(module, model, matching, seed or 0)
        findings = [
            *matching.findings,
            *draws.findings(drawn),
            *draws.copies(drawing.once),
            *outputs.findings(outside, is_loaded=not matching.findings),
            *signals.findings(signal),
        ]
        if seed is not None:
            findings += seeds.findings(replayed, seed) if not problem else [Finding("", "seed", problem)]
        return PortReport(_versions(self.port.package), seed or 0, tuple(findings), drawn, replayed, outside, signal)

    def _loaded(self, model: Any, state: Any) -> Arrays:
        with _wide():  # in a narrow dtype, numbers that are drawn are equal by chance
            arrays = self.port.arrays(self.port.load(model, state)[0])
            return {path: np.asarray(array) for path, array in arrays.items()}

    def _runs(
        self,
        module: torch.nn.Module,
        model: Any,
        matching: Matching,
        drawn: Sequence[Arrays],
        inputs: Inputs,
        wide: bool,
    ) -> tuple[tuple[Output, ...], tuple[Signal, ...]]:
        """Compare outputs, and the signals of the models that the port draws with those of as many of torch."""
        outside = outputs.compare(module, self.port, model, matching, inputs, wide)
        modules = [torch_model.built(self.build, suite.fresh_seed()) for _ in drawn]
        as_dtype = jnp.float64 if wide else jnp.asarray
        arrays = [{path: as_dtype(array) for path, array in each.items()} for each in drawn]
        pairs = {row.torch: row.path for row in outside if row.path}
        return outside, signals.compare(modules, self.port, model, arrays, matching, pairs, inputs, wide, _RATES)

    def _replayed(
        self, module: torch.nn.Module, model: Any, matching: Matching, seed: int
    ) -> tuple[dict[str, bool], str]:
        """Return what is equal from torch's seed, or why the port cannot be drawn from it."""
        try:
            return seeds.compare(module, self.port, model, matching, seed), ""
        except ValueError as error:
            return {}, f"the port cannot be drawn from torch's seed: {error}"


@contextlib.contextmanager
def _wide() -> Iterator[None]:
    """Let models compute in float64."""
    # A model that names float32 somewhere computes in two dtypes then.
    with jax.enable_x64(True), jax.numpy_dtype_promotion("standard"):
        yield


_RATES = RATES.over(2)  # draws and signals


def _versions(package: str) -> dict[str, str]:
    return {name: metadata.version(name) for name in ("jaxinit", "torch", "jax", package)}
