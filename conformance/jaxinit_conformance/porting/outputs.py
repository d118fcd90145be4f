"""The outputs of both models with torch's weights, module by module: the first that differs is where to look.

Both run in float64 if they can, so that a small deviation such as another epsilon shows. A model that casts to a
narrower dtype inside differs by rounding. Torch's own difference between float32 and float64 says by how much.
"""

import copy
import itertools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np
import torch

from ..modules.pairs.compile import compile_unoptimized
from ..reference import torch_init
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
    with torch.no_grad(), torch_init.seeded(0):
        narrow = torch_model.run(module, *inputs.torch(wide=False))
        with torch_model.Casts() as casts:  # type: ignore[no-untyped-call]  # torch has no types for it
            exact = torch_model.run(module.double(), *inputs.torch(wide=True))
        again = torch_model.run(module, *inputs.torch(wide=True))
    loaded, _ = port.load(model, torch_model.state(module))
    arrays = port.arrays(loaded)

    def run(own: Arrays) -> Any:
        return port.run(port.with_arrays(loaded, own), *inputs.flax(wide=wide))

    unit = max(UNITS["f32"] if casts.found else 0.0, _unit(run, arrays))
    output, inner = compile_unoptimized(run, arrays)(arrays)
    runs = [{**own, "": whole} for whole, own in (exact, again, narrow)]
    ours = {**inner, "": output}

    def row(name: str, path: str) -> Output:
        wide, again, narrow = (run[name] for run in runs)
        return _row(path, name, ours.get(path), wide, again, narrow, unit)

    pairs = [*module_pairs(matching), [("", "")]]
    found = ([row(name, path) for name, path in each if name in runs[0]] for each in pairs)
    nearest = [min(rows, key=lambda row: (bool(row.incomparable), row.difference)) for rows in found if rows]
    order = {name: place for place, name in enumerate(runs[0])}
    return tuple(sorted(nearest, key=lambda row: order[row.torch]))


def _unit(function: Callable[..., Any], arrays: Arrays) -> float:
    """Return the rounding of one number in the narrowest dtype in which a function of float64 arrays computes."""
    program = str(jax.make_jaxpr(function)(arrays))  # printed, it shows programs within programs too
    return max((unit for dtype, unit in UNITS.items() if re.search(rf"\b{dtype}\[", program)), default=0.0)


def _row(path: str, name: str, port: Any, wide: Any, again: Any, narrow: Any, unit: float) -> Output:
    """Return how far two outputs are apart. A difference is at most rounding if a model casts to a narrower dtype."""
    theirs, repeated = wide.double().numpy(), again.double().numpy()
    largest = float(np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)) or 1.0
    rounding = _distance(narrow.double().numpy(), theirs) / largest
    rounding = rounding if math.isfinite(rounding) else 0.0  # float32 overflows where float64 does not
    tolerance = max(EXACT, ROUNDINGS * unit * max(1.0, rounding / UNITS["f32"]))
    if theirs.shape != repeated.shape or _distance(repeated, theirs) > EXACT * largest:
        return Output(path, name, math.nan, tolerance, "random in torch")
    if port is None:
        return Output(path, name, math.nan, tolerance, "not called")
    if np.size(port) != theirs.size:
        return Output(path, name, math.nan, tolerance, "another shape", (theirs.shape, np.shape(port)))
    arranged = _arranged(np.asarray(port, np.float64), theirs.shape)
    return Output(path, name, min(_distance(each, theirs) for each in arranged) / largest, tolerance)


def _distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference, infinite where one alone is NaN or infinite, as the scores that a mask hides."""
    with np.errstate(invalid="ignore"):
        is_same = (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
        return float(np.nan_to_num(np.where(is_same, 0.0, np.abs(ours - theirs)), nan=math.inf).max(initial=0.0))


def _arranged(array: np.ndarray, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    """Yield an output with the axes of torch: channels may be last, and heads apart, behind the tokens."""
    turned = [np.moveaxis(array, -1, 1), array.swapaxes(1, 2)] if array.ndim > 2 else []
    yield from (each for each in turned if each.shape == shape)
    yield array.reshape(shape)


def findings(outputs: Sequence[Output], is_loaded: bool) -> Iterator[Finding]:
    """Yield the first module whose output differs, or one before it that the port does not call.

    If the output of the whole model cannot be compared, say why first.
    """
    differing = [index for index, row in enumerate(outputs) if not row.same and not row.incomparable]
    whole = [_incomparable(row) for row in outputs[-1:] if row.incomparable]
    yield from (Finding("", "output", message) for message in whole)
    if not differing and not whole:
        return
    end = differing[0] if differing else len(outputs) - 1
    skipped = list(itertools.takewhile(lambda row: row.incomparable, reversed(outputs[:end])))
    resized = [row for row in skipped if row.incomparable == "another shape"]
    if resized:
        yield Finding(resized[-1].path, "output", _incomparable(resized[-1]))
    elif differing:
        yield _difference(outputs[end], outputs[end - 1] if end else None, is_loaded)


def _incomparable(row: Output) -> str:
    """Return the sentence on an output that is random or of another shape."""
    if row.incomparable == "random in torch":
        rule = "the output of torch's whole model changes from run to run, so it cannot be compared"
        return f"{rule}. Pass models that draw no random numbers when they run"
    where = f"`{row.path}` is the first module that differs: its output" if row.path else "the whole model's output"
    theirs, ours = row.shapes
    return f"{where} has shape {theirs} in torch, and {ours} in the port"


def _difference(row: Output, before: Output | None, is_loaded: bool) -> Finding:
    """Return the finding on the first output that differs, with what is known of the module before it."""
    where = f"`{row.path}` is the first module that differs" if row.path else "the whole model differs"
    off = f"with torch's weights its output is off by {row.difference:.2g} of its largest value"
    if math.isinf(row.difference):
        off = "with torch's weights its output is NaN or infinite where torch's is not, or the other way round"
    if not is_loaded:
        off += ". The parameters without a counterpart were not loaded"
    if before is not None and before.incomparable == "not called":
        skipped = f"`{before.path}` comes before it in torch, and the port does not call it"
        return Finding(before.path, "output", f"{where}: {off}. {skipped}")
    cause = "in it or between the two" if row.path else "after it"
    is_right = before is not None and not before.incomparable
    agrees = f". `{before.path}` before it agrees, so the cause lies {cause}" if before and is_right else ""
    return Finding(row.path, "output", f"{where}: {off}{agrees}")
