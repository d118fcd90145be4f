"""What a node computes: torch's operations on tensors, for NumPy's and for JAX's arrays.

Names and arguments are those of torch's operator library. A function gets the namespace of
its arrays first. Arrays of narrow dtypes arrive in float32, and results are rounded once.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._initializers.base import Initializer
from jaxinit._initializers.identity import dirac, eye
from jaxinit._recipes.nodes import Node, substitute
from jaxinit._sampling import dtypes
from jaxinit._sampling.source import KeySource
from jaxinit.layouts import TORCH

Operation = Callable[..., Any]


def _axis(dim: Any) -> Any:
    return None if dim is None or dim == () else dim if isinstance(dim, int) else tuple(dim)


def add(_: Any, a: Any, b: Any, alpha: float = 1) -> Any:
    return a + (b if alpha == 1 else b * alpha)


def sub(_: Any, a: Any, b: Any, alpha: float = 1) -> Any:
    return a - (b if alpha == 1 else b * alpha)


def rsub(xp: Any, a: Any, b: Any, alpha: float = 1) -> Any:
    return sub(xp, b, a, alpha)


def div(xp: Any, a: Any, b: Any, rounding_mode: str | None = None) -> Any:
    quotient = a / b
    return {None: lambda x: x, "floor": xp.floor, "trunc": xp.trunc}[rounding_mode](quotient)


def clamp(xp: Any, a: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002  # torch's names
    a = a if min is None else xp.maximum(a, min)
    return a if max is None else xp.minimum(a, max)


def erfinv(xp: Any, a: Any) -> Any:
    """Return the inverse of erf. On the host it is rounded once from float64, as in torch's vector library."""
    if xp is jnp:
        return jax.scipy.special.erfinv(a)
    with jax.enable_x64(True):
        return np.asarray(jax.scipy.special.erfinv(a.astype(np.float64))).astype(a.dtype)


def softplus(xp: Any, a: Any, beta: float = 1, threshold: float = 20) -> Any:
    return xp.where(a * beta > threshold, a, xp.log1p(xp.exp(xp.minimum(a * beta, threshold))) / beta)


def vector_norm(xp: Any, a: Any, ord: float | None = 2, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A002
    """Return `(sum |a|^ord)^(1 / ord)`, or the greatest |a|."""
    order = 2 if ord is None else ord
    if order == float("inf"):
        return xp.max(xp.abs(a), axis=_axis(dim), keepdims=keepdim)
    if order == 2:
        return xp.sqrt(xp.sum(a * a, axis=_axis(dim), keepdims=keepdim))
    return xp.sum(xp.abs(a) ** order, axis=_axis(dim), keepdims=keepdim) ** (1 / order)


def total(xp: Any, a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return xp.sum(a, axis=_axis(dim), keepdims=keepdim)


def mean(xp: Any, a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return xp.mean(a, axis=_axis(dim), keepdims=keepdim)


def cat(xp: Any, tensors: tuple[Any, ...], dim: int = 0) -> Any:
    return xp.concatenate(tensors, axis=dim)


def copy(xp: Any, a: Any, source: Any) -> Any:
    return xp.broadcast_to(source, a.shape)


def _places(indices: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(slice(None) if each is None else each for each in indices)


def index(_: Any, a: Any, indices: tuple[Any, ...]) -> Any:
    return a[_places(indices)]


def index_put(xp: Any, a: Any, indices: tuple[Any, ...], values: Any, accumulate: bool = False) -> Any:
    mask, *others = indices
    if not others and mask.dtype == bool:  # with one value, as the recorder sees to
        value = values.reshape((1,) * a.ndim)
        return xp.where(mask.reshape(mask.shape + (1,) * (a.ndim - mask.ndim)), a + value if accumulate else value, a)
    if xp is jnp:
        places = a.at[_places(indices)]
        return places.add(values) if accumulate else places.set(values)
    changed = a.copy()
    if accumulate:
        np.add.at(changed, _places(indices), values)
    else:
        changed[_places(indices)] = values
    return changed


def _unary(name: str) -> Operation:
    return lambda xp, a: getattr(xp, name)(a)


def _binary(name: str) -> Operation:
    return lambda xp, a, b: getattr(xp, name)(a, b)


_ELEMENTWISE: Mapping[str, Operation] = {
    **{name: _unary(name) for name in ("exp", "expm1", "log", "log1p", "log2", "sqrt", "abs", "sin", "cos", "tanh")},
    **{name: _unary(name) for name in ("sign", "floor", "ceil", "reciprocal", "square")},
    "neg": _unary("negative"),
    "rsqrt": lambda xp, a: 1 / xp.sqrt(a),
    "sigmoid": lambda xp, a: 1 / (1 + xp.exp(-a)),
    "softplus": softplus,
    "erfinv": erfinv,
    "add": add,
    "sub": sub,
    "rsub": rsub,
    "mul": _binary("multiply"),
    "div": div,
    "pow": _binary("power"),
    "maximum": _binary("maximum"),
    "minimum": _binary("minimum"),
    "clamp": clamp,
    "clamp_min": lambda xp, a, low: xp.maximum(a, low),
    "clamp_max": lambda xp, a, high: xp.minimum(a, high),
}

ARITHMETIC: Mapping[str, Operation] = {
    **_ELEMENTWISE,
    "linalg_vector_norm": vector_norm,
    "norm": lambda xp, a, p=2, dim=None, keepdim=False: vector_norm(xp, a, p, dim, keepdim),
    "sum": total,
    "mean": mean,
    "mm": _binary("matmul"),
    "mv": _binary("matmul"),
    "bmm": _binary("matmul"),
    "dot": _binary("matmul"),
}
"""Operations on numbers. Their arrays have the dtype of the result, or float32 where that is narrower."""

_COMPARISONS = {
    "lt": "less",
    "le": "less_equal",
    "gt": "greater",
    "ge": "greater_equal",
    "eq": "equal",
    "ne": "not_equal",
    **{name: name for name in ("logical_and", "logical_or", "bitwise_and", "bitwise_or")},
}

MOVES: Mapping[str, Operation] = {
    "to_copy": lambda _, a: a,
    "clone": lambda _, a: a,
    "copy": copy,
    "read": lambda _, a, region: region.read(a),
    "write": lambda _, a, region, value: region.write(a, value),
    "cat": cat,
    "stack": lambda xp, tensors, dim=0: xp.stack(tensors, axis=dim),
    "tril": lambda xp, a, diagonal=0: xp.tril(a, diagonal),
    "triu": lambda xp, a, diagonal=0: xp.triu(a, diagonal),
    "flip": lambda xp, a, dims: xp.flip(a, axis=tuple(dims)),
    **{name: _binary(numpy) for name, numpy in _COMPARISONS.items()},
    "logical_not": _unary("logical_not"),
    "bitwise_not": _unary("invert"),
    "index": index,
    "index_put": index_put,
    "where": lambda xp, condition, a, b: xp.where(condition, a, b),
    "masked_fill": lambda xp, a, mask, value: xp.where(mask, xp.asarray(value, a.dtype), a),
}
"""Operations that move or compare values, each in its own dtype."""

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
    args = substitute(node.args, value)
    if node.op in (*_ELEMENTWISE, *_COMPARISONS, "where", "masked_fill"):
        args = _of_rank(args, len(node.shape))
    if node.op in MOVES:
        moved = MOVES[node.op](xp, *args)
        return moved.astype(dtype)
    real = dtypes.compute_dtype(dtype) if jnp.issubdtype(dtype, jnp.floating) else dtype
    with np.errstate(all="ignore"):
        return ARITHMETIC[node.op](xp, *_cast(args, real)).astype(dtype)


def _of_rank(args: tuple[Any, ...], rank: int) -> tuple[Any, ...]:
    """Return the arguments with leading axes of size 1, so that arrays broadcast without a change of rank."""
    return tuple(
        each.reshape((1,) * (rank - each.ndim) + each.shape) if isinstance(each, (np.ndarray, jax.Array)) else each
        for each in args
    )


def _cast(args: Any, real: np.dtype) -> Any:
    if isinstance(args, tuple):
        return tuple(_cast(each, real) for each in args)
    return args.astype(real) if isinstance(args, (np.ndarray, jax.Array)) else args
