"""The outputs of both models with torch's weights, module by module: the first that differs is where to look.

Both run in float64, so that a small deviation such as another epsilon shows. A model that casts to float32 inside
differs by rounding. Torch's own difference between float32 and float64 says by how much.
"""

import copy
import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import torch

from ..modules.pairs.compile import compile_unoptimized
from . import torch_model
from .finding import Finding, Output
from .flax_models import Arrays, FlaxModel
from .inputs import Inputs
from .sources import Matching, module_pairs

EXACT = 1e-9
"""Differences up to this share of the largest output are float64's rounding."""

ROUNDINGS = 4
"""How often torch's own rounding to float32 a difference may be."""


def compare(
    module: torch.nn.Module, port: FlaxModel, model: Any, matching: Matching, inputs: Inputs
) -> tuple[Output, ...]:
    """Return the outputs of the modules that both have, in the order in which torch computes them, the whole last."""
    module = copy.deepcopy(module).eval()
    torch_model.vary(module, np.random.default_rng(0))  # any numbers do
    with torch.no_grad():
        narrow = torch_model.run(module, *inputs.torch(wide=False))
        with torch_model.Casts() as casts:  # type: ignore[no-untyped-call]  # torch has no types for it
            wide = torch_model.run(module.double(), *inputs.torch(wide=True))
    loaded, _ = port.load(model, torch_model.state(module))
    arrays = port.arrays(loaded)

    def run(own: Arrays) -> Any:
        return port.run(port.with_arrays(loaded, own), *inputs.flax(wide=True))

    is_narrow = casts.found or _casts(run, arrays)
    output, inner = compile_unoptimized(run, arrays)(arrays)
    pairs = module_pairs(matching)
    names = [name for name in wide[1] if name in pairs]
    rows = [_row(pairs[name], name, inner.get(pairs[name]), wide[1][name], narrow[1][name]) for name in names]
    found = [*rows, _row("", "", output, wide[0], narrow[0])]
    return tuple(row if is_narrow else dataclasses.replace(row, tolerance=EXACT) for row in found)


def _casts(function: Callable[..., Any], arrays: Arrays) -> bool:
    """Return whether a function of float64 arrays computes in a narrower dtype somewhere."""
    program = str(jax.make_jaxpr(function)(arrays))  # printed, it shows programs within programs too
    return any(f"{dtype}[" in program for dtype in ("f32", "f16"))  # the latter also ends bf16


def _row(path: str, name: str, port: Any, wide: Any, narrow: Any) -> Output:
    """Return how far two outputs are apart. A difference is at most float32's rounding if a model casts to it."""
    theirs = wide.double().numpy()
    largest = float(np.abs(theirs).max(initial=0.0)) or 1.0
    rounding = float(np.abs(narrow.double().numpy() - theirs).max(initial=0.0)) / largest
    difference = math.nan
    if port is not None and np.size(port) == theirs.size:
        arranged = _arranged(np.asarray(port, np.float64), theirs.shape)
        difference = min(float(np.abs(each - theirs).max(initial=0.0)) for each in arranged) / largest
    return Output(path, name, difference, max(EXACT, ROUNDINGS * rounding))


def _arranged(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield an output with the axes of torch: channels may be last, and heads may be separate axes."""
    if array.ndim > 2 and np.moveaxis(array, -1, 1).shape == shape:
        yield np.moveaxis(array, -1, 1)
    yield array.reshape(shape)


def findings(outputs: Sequence[Output]) -> Iterator[Finding]:
    """Yield the first module whose output differs, or the module before it that the port does not call."""
    wrong = [index for index, row in enumerate(outputs) if not row.same]
    if not wrong:
        return
    first, before = outputs[wrong[0]], outputs[wrong[0] - 1] if wrong[0] else None
    where = f"`{first.path}` is the first module that differs" if first.path else "the whole model differs"
    off = f"with torch's weights its output is off by {first.difference:.2g} of its largest value"
    if before is None or not math.isnan(before.difference):
        yield Finding(first.path, "output", f"{where}: {off}")
    else:
        skipped = f"`{before.path}` comes before it in torch, and the port does not call it"
        yield Finding(before.path, "output", f"{where}: {off}. {skipped}")
