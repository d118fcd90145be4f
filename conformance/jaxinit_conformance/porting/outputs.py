"""The outputs of both models with torch's weights, module by module: the first that differs is where to look.

Both run in float64 if they can, so that a small deviation such as another epsilon shows. A model that casts to a
narrower dtype inside differs by rounding. Torch's own difference between float32 and float64 says by how much.
"""

import copy
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import torch

from ..modules.pairs.compile import compile_unoptimized
from . import torch_model
from .finding import Finding, Output
from .inputs import Inputs
from .models.model import Arrays, PortModel
from .sources import Matching, module_pairs

EXACT = 1e-9
"""Differences up to this share of the largest output are float64's rounding."""

ROUNDINGS = 4
"""How often torch's own rounding, or that of one number, a difference may be in a model that casts."""

UNITS = {"bf16": 2.0**-8, "f16": 2.0**-11, "f32": 2.0**-24}
"""The rounding of one number in each dtype that a model may cast to."""


def compare(
    module: torch.nn.Module, port: PortModel, model: Any, matching: Matching, inputs: Inputs, wide: bool
) -> tuple[Output, ...]:
    """Return the outputs of the modules that both have, in the order in which torch computes them, the whole last.

    Torch runs in float64, and the port too if it is `wide`.
    """
    module = copy.deepcopy(module).eval()
    torch_model.vary(module, np.random.default_rng(0))  # any numbers do
    with torch.no_grad():
        narrow = torch_model.run(module, *inputs.torch(wide=False))
        with torch_model.Casts() as casts:  # type: ignore[no-untyped-call]  # torch has no types for it
            exact = torch_model.run(module.double(), *inputs.torch(wide=True))
    loaded, _ = port.load(model, torch_model.state(module))
    arrays = port.arrays(loaded)

    def run(own: Arrays) -> Any:
        return port.run(port.with_arrays(loaded, own), *inputs.flax(wide=wide))

    unit = max(UNITS["f32"] if casts.found else 0.0, _unit(run, arrays))
    output, inner = compile_unoptimized(run, arrays)(arrays)
    pairs = module_pairs(matching)
    names = [name for name in exact[1] if name in pairs]
    rows = [_row(pairs[name], name, inner.get(pairs[name]), exact[1][name], narrow[1][name], unit) for name in names]
    return (*rows, _row("", "", output, exact[0], narrow[0], unit))


def _unit(function: Callable[..., Any], arrays: Arrays) -> float:
    """Return the rounding of one number in the narrowest dtype in which a function of float64 arrays computes."""
    program = str(jax.make_jaxpr(function)(arrays))  # printed, it shows programs within programs too
    return max((unit for dtype, unit in UNITS.items() if re.search(rf"\b{dtype}\[", program)), default=0.0)


def _row(path: str, name: str, port: Any, wide: Any, narrow: Any, unit: float) -> Output:
    """Return how far two outputs are apart. A difference is at most rounding if a model casts to a narrower dtype."""
    theirs = wide.double().numpy()
    largest = float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)) or 1.0
    rounding = _distance(narrow.double().numpy(), theirs) / largest
    rounding = rounding if math.isfinite(rounding) else 0.0  # float32 overflows where float64 does not
    difference = math.nan
    if port is not None and np.size(port) == theirs.size:
        arranged = _arranged(np.asarray(port, np.float64), theirs.shape)
        difference = min(_distance(each, theirs) for each in arranged) / largest
    return Output(path, name, difference, max(EXACT, ROUNDINGS * unit * max(1.0, rounding / UNITS["f32"])))


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference, infinite where one alone is NaN or infinite, as the scores that a mask hides."""
    with np.errstate(invalid="ignore"):
        is_same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        return float(np.nan_to_num(np.where(is_same, 0.0, np.abs(ours - theirs)), nan=math.inf).max(initial=0.0))


def _arranged(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield an output with the axes of torch: channels may be last, and heads may be separate axes."""
    if array.ndim > 2 and np.moveaxis(array, -1, 1).shape == shape:
        yield np.moveaxis(array, -1, 1)
    yield array.reshape(shape)


def findings(outputs: Sequence[Output], is_loaded: bool) -> Iterator[Finding]:
    """Yield the first module whose output differs, or the module before it that the port does not call."""
    wrong = [index for index, row in enumerate(outputs) if not row.same]
    if outputs and math.isnan(outputs[-1].difference):
        yield Finding("", "output", "the whole model gives an output with another number of entries than torch's")
        wrong = [index for index in wrong if outputs[index].path]
    if not wrong:
        return
    first, before = outputs[wrong[0]], outputs[wrong[0] - 1] if wrong[0] else None
    where = f"`{first.path}` is the first module that differs" if first.path else "the whole model differs"
    off = f"with torch's weights its output is off by {first.difference:.2g} of its largest value"
    if math.isinf(first.difference):
        off = "with torch's weights its output is NaN or infinite where torch's is not, or the other way round"
    if not is_loaded:
        off += ". The parameters without a counterpart were not loaded"
    if before is None or not math.isnan(before.difference):
        cause = "in it or between the two" if first.path else "after it"
        agrees = f". `{before.path}` before it agrees, so the cause lies {cause}" if before else ""
        yield Finding(first.path, "output", f"{where}: {off}{agrees}")
    else:
        skipped = f"`{before.path}` comes before it in torch, and the port does not call it"
        yield Finding(before.path, "output", f"{where}: {off}. {skipped}")
