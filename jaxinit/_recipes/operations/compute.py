"""What a node computes: torch's operations on tensors, for NumPy's and for JAX's arrays.

Arrays of narrow dtypes arrive in float32, and results are rounded once.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._initializers.base import Initializer
from jaxinit._initializers.identity import dirac, eye
from jaxinit._recipes.nodes import Node, substitute
from jaxinit._recipes.operations.arithmetic import ARITHMETIC, ELEMENTWISE, Operation
from jaxinit._recipes.operations.moves import COMPARISONS, MOVES
from jaxinit._sampling import dtypes
from jaxinit._sampling.source import KeySource
from jaxinit.layouts import TORCH

OPERATIONS: Mapping[str, Operation] = {**ARITHMETIC, **MOVES}

_STRUCTURED: Mapping[str, Callable[..., Initializer]] = {
    "eye": lambda: eye(layout=TORCH),
    "dirac": lambda groups: dirac(groups, layout=TORCH),
}
_NO_KEY = KeySource(None)  # constants need none
SOURCES = ("draw", "data", "full", "empty", "unknown draw", *_STRUCTURED)
"""Nodes without inputs."""


def compute(node: Node, value: Callable[[int], Any], xp: Any, dtype: np.dtype) -> Any:
    """Return the array of a node that computes or fills, in `dtype`, from the arrays of its inputs."""
    match node.op, node.args:
        case "full", (number,):
            return xp.full(node.shape, dtypes.cast(number, dtype))
        case "empty", ():
            return xp.zeros(node.shape, dtype)
    if node.op in _STRUCTURED:
        return xp.asarray(_STRUCTURED[node.op](*node.args)(_NO_KEY, node.shape, dtype))
    args = _with_numbers_of(node.op, substitute(node.args, value), dtype)
    if node.op in (*ELEMENTWISE, *COMPARISONS, "where", "masked_fill"):
        args = _of_rank(args, len(node.shape))
    if node.op in MOVES:
        moved = MOVES[node.op](xp, *args)
        return moved.astype(dtype)
    real = dtypes.compute_dtype(dtype) if jnp.issubdtype(dtype, jnp.floating) else dtype
    with np.errstate(all="ignore"):
        return ARITHMETIC[node.op](xp, *_cast(args, real)).astype(dtype)


def _with_numbers_of(op: str, args: tuple[Any, ...], dtype: np.dtype) -> tuple[Any, ...]:
    """Return the arguments with numbers, and tensors without axes, rounded where torch rounds them first.

    torch compares, adds and subtracts in the dtype of the tensor. It multiplies bfloat16 and float16 by a number of
    float32, but not if the number comes first.
    """
    if op in COMPARISONS:
        kinds = [each.dtype for each in args if _is_array(each) and each.ndim]
        return _rounded(args, kinds[0]) if kinds and jnp.issubdtype(kinds[0], jnp.floating) else args
    if jnp.issubdtype(dtype, jnp.floating) and dtypes.compute_dtype(dtype) != dtype:
        first = {"add": 3, "sub": 3, "rsub": 3, "mul": 1, "div": 1}.get(op, 0)
        return _rounded(args[:first], dtype) + args[first:]
    return args


def _rounded(args: tuple[Any, ...], dtype: np.dtype) -> tuple[Any, ...]:
    arrays = (each if _is_array(each) else np.asarray(each) for each in args)
    return tuple(each if each.ndim else each.astype(dtype) for each in arrays)


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, jax.Array))


def _of_rank(args: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """Return the arguments with leading axes of size 1, so that arrays broadcast without a change of rank."""
    return tuple(each.reshape((1,) * (rank - each.ndim) + each.shape) if _is_array(each) else each for each in args)


def _cast(args: Any, real: np.dtype) -> Any:
    if isinstance(args, tuple):
        return tuple(_cast(each, real) for each in args)
    if not _is_array(args):
        return args
    # Of complex numbers, an operation with real results needs both parts.
    return args if jnp.iscomplexobj(args) and not jnp.issubdtype(real, jnp.complexfloating) else args.astype(real)
