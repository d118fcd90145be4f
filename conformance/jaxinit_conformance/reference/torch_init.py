"""What the functions of `torch.nn.init` do, read off the installed torch.

Distributions are recovered exactly, from draws with equal seeds. Nothing of a target is used here.
"""

import contextlib
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import ml_dtypes
import numpy as np
import torch

from .expected import Expected

Arguments = Mapping[str, Any]
Shape = tuple[int, ...]

version = torch.__version__

# MKL chooses the code of a function at the first call. If several threads make that call together, some may run code
# with half the digits: https://github.com/pytorch/pytorch/issues/188792. So one number goes first. trunc_normal_ calls
# log, or erfinv up to torch 2.11. Models call tanh.
for _function, _dtype in itertools.product((torch.log, torch.erfinv, torch.tanh), (torch.float32, torch.float64)):
    _function(torch.full((1,), 0.5, dtype=_dtype))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed the global generator of torch on the CPU, and restore the old state afterwards."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed also visits absent devices, in a millisecond
        yield


def function(name: str) -> Callable[..., Any]:
    """Return `torch.nn.init.NAME_`, or the function NAME that changes no tensor."""
    found: Callable[..., Any] | None = getattr(torch.nn.init, f"{name}_", None) or getattr(torch.nn.init, name, None)
    if found is None:
        raise LookupError(f"torch.nn.init has no {name}")
    return found


def initializers() -> tuple[str, ...]:
    """Return the names of torch's initializers, without the underscore."""
    return tuple(name[:-1] for name in torch.nn.init.__all__ if name.endswith("_"))


def signature(name: str) -> inspect.Signature:
    """Return the signature of a torch initializer without the tensor and the generator."""
    given = inspect.signature(function(name)).parameters.values()
    return inspect.Signature([parameter for parameter in given if parameter.name not in ("tensor", "generator")])


def parameters(name: str) -> dict[str, Any]:
    """Return the arguments of a torch initializer by name, in order, with the defaults."""
    return {parameter.name: parameter.default for parameter in signature(name).parameters.values()}


def fill(name: str, arguments: Arguments, shape: Shape, dtype: str, count: int = 1) -> np.ndarray:
    """Return `count` tensors of `shape` that torch fills, stacked. Call it inside `seeded`."""
    tensors = torch.empty((count, *shape), dtype=getattr(torch, dtype))
    for tensor in tensors:
        function(name)(tensor, **arguments)
    if dtype == "bfloat16":  # torch does not convert bfloat16, since NumPy itself has none
        return tensors.float().numpy().astype(ml_dtypes.bfloat16)
    return tensors.numpy()


@functools.cache
def _standard(draw: str, shape: Shape) -> np.ndarray:
    tensor = torch.empty(shape, dtype=torch.float64)
    with seeded(0):
        return (tensor.uniform_(0, 1) if draw == "uniform" else tensor.normal_(0, 1)).numpy()


def expected(name: str, arguments: Arguments, shape: Shape) -> Expected:
    """Return torch's distribution for one entry of a tensor of `shape`, to about 1e-15.

    With equal seeds, torch scales and shifts the numbers of a standard draw. The entries that
    are farthest apart give both. The arguments give a truncated normal.
    """
    if name == "trunc_normal":
        given = {**parameters(name), **arguments}
        return Expected("truncated_normal", given["mean"], given["std"], given["a"], given["b"])
    kind: Literal["uniform", "normal"] = "uniform" if "uniform" in name else "normal"
    standard = _standard(kind, shape)
    with seeded(0):
        drawn = fill(name, arguments, shape, "float64")[0]
    # The entries farthest apart give the scale with the least rounding error, and the one nearest 0 the shift.
    least, most = standard.argmin(), standard.argmax()
    scale = float((drawn.flat[most] - drawn.flat[least]) / (standard.flat[most] - standard.flat[least]))
    nearest = abs(standard).argmin()
    loc = float(drawn.flat[nearest] - scale * standard.flat[nearest])
    if kind == "uniform":
        return Expected(kind, loc, scale, loc, loc + scale)
    return Expected(kind, loc, scale)


def fans(shape: Shape) -> tuple[int, int]:
    """Return torch's (fan_in, fan_out) for a tensor of `shape`: kaiming_normal's std is 1 / sqrt(fan) when linear."""
    fan_in, fan_out = (
        expected("kaiming_normal", {"mode": mode, "nonlinearity": "linear"}, shape).scale ** -2
        for mode in ("fan_in", "fan_out")
    )
    return round(fan_in), round(fan_out)
