"""Operations on numbers: torch's, for NumPy's and for JAX's arrays.

Names and arguments are those of torch's operator library. A function gets the namespace of its arrays first.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._initializers.orthogonal import qr

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


def power(xp: Any, a: Any, exponent: Any) -> Any:
    is_cube = isinstance(exponent, int | float) and exponent == 3
    return a * a * a if is_cube else xp.power(a, exponent)


def sign(xp: Any, a: Any) -> Any:
    """Return -1, 0 or 1, and 0 for NaN as torch does."""
    return xp.where(a == a, xp.sign(a), xp.zeros((), a.dtype))


def clamp(xp: Any, a: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002  # torch's names
    a = a if min is None else xp.maximum(a, min)
    return a if max is None else xp.minimum(a, max)


def lerp(_: Any, a: Any, b: Any, weight: Any) -> Any:
    return a + weight * (b - a)


def addcmul(_: Any, a: Any, b: Any, c: Any, value: float = 1) -> Any:
    return a + value * b * c


def addcdiv(_: Any, a: Any, b: Any, c: Any, value: float = 1) -> Any:
    return a + value * b / c


def softmax(xp: Any, a: Any, dim: int, half_to_float: bool = False) -> Any:  # noqa: ARG001  # torch's
    powers = xp.exp(a - xp.max(a, axis=dim, keepdims=True))
    return powers / xp.sum(powers, axis=dim, keepdims=True)


def addmm(xp: Any, a: Any, b: Any, c: Any, beta: float = 1, alpha: float = 1) -> Any:
    return beta * a.reshape((1,) * (2 - a.ndim) + a.shape) + alpha * xp.matmul(b, c)


def erfinv(xp: Any, a: Any) -> Any:
    """Return the inverse of erf. On the host it is rounded once from float64, as in torch's vector library."""
    if xp is jnp:
        return jax.scipy.special.erfinv(a)
    with jax.enable_x64(True):
        return np.asarray(jax.scipy.special.erfinv(a.astype(np.float64))).astype(a.dtype)


def softplus(xp: Any, a: Any, beta: float = 1, threshold: float = 20) -> Any:
    return xp.where(a * beta > threshold, a, xp.log1p(xp.exp(xp.minimum(a * beta, threshold))) / beta)


def _squared(a: Any) -> Any:
    """Return |a|^2."""
    return a.real * a.real + a.imag * a.imag if jnp.iscomplexobj(a) else a * a


def vector_norm(xp: Any, a: Any, ord: float | None = 2, dim: Any = None, keepdim: bool = False) -> Any:  # noqa: A002
    """Return `(sum |a|^ord)^(1 / ord)`, the greatest or least |a|, or for the order 0 the number of nonzeros."""
    order = 2 if ord is None else ord
    if math.isinf(order):
        return (xp.max if order > 0 else xp.min)(xp.abs(a), axis=_axis(dim), keepdims=keepdim)
    if order == 0:
        return xp.sum(a != 0, axis=_axis(dim), keepdims=keepdim)
    if order == 2:
        return xp.sqrt(xp.sum(_squared(a), axis=_axis(dim), keepdims=keepdim))
    return xp.sum(xp.abs(a) ** order, axis=_axis(dim), keepdims=keepdim) ** (1 / order)


def total(xp: Any, a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return xp.sum(a, axis=_axis(dim), keepdims=keepdim)


def mean(xp: Any, a: Any, dim: Any = None, keepdim: bool = False) -> Any:
    return xp.mean(a, axis=_axis(dim), keepdims=keepdim)


def var(xp: Any, a: Any, dim: Any = None, correction: float | None = 1, keepdim: bool = False) -> Any:
    """Return the variance, divided by the number of entries less `correction`."""
    spread = a - xp.mean(a, axis=_axis(dim), keepdims=True)
    count = a.size // xp.mean(a, axis=_axis(dim)).size
    return xp.sum(_squared(spread), axis=_axis(dim), keepdims=keepdim) / max(
        count - (1 if correction is None else correction), 0
    )


def std(xp: Any, a: Any, dim: Any = None, correction: float | None = 1, keepdim: bool = False) -> Any:
    return xp.sqrt(var(xp, a, dim, correction, keepdim))


def orthogonalize(_: Any, a: Any) -> Any:
    """Return Q of the QR decomposition whose R has a positive diagonal, as torch's orthogonal parametrization does."""
    return qr(a)


def unary(name: str) -> Operation:
    return lambda xp, a: getattr(xp, name)(a)


def binary(name: str) -> Operation:
    return lambda xp, a, b: getattr(xp, name)(a, b)


ELEMENTWISE: Mapping[str, Operation] = {
    **{name: unary(name) for name in ("exp", "expm1", "log", "log1p", "log2", "sqrt", "abs", "sin", "cos", "tan")},
    **{name: unary(name) for name in ("tanh", "floor", "ceil", "trunc", "reciprocal", "square")},
    "round": lambda xp, a, decimals=0: xp.round(a, decimals),
    "neg": unary("negative"),
    "rsqrt": lambda xp, a: 1 / xp.sqrt(a),
    "sigmoid": lambda xp, a: 1 / (1 + xp.exp(-a)),
    "softplus": softplus,
    "erfinv": erfinv,
    "add": add,
    "sub": sub,
    "rsub": rsub,
    "mul": binary("multiply"),
    "div": div,
    "pow": power,
    "sign": sign,
    "lerp": lerp,
    "addcmul": addcmul,
    "addcdiv": addcdiv,
    "logit": lambda xp, a: xp.log(a / (1 - a)),
    "relu": lambda xp, a: xp.maximum(a, 0),
    "maximum": binary("maximum"),
    "minimum": binary("minimum"),
    "clamp": clamp,
    "clamp_min": lambda xp, a, low: xp.maximum(a, low),
    "clamp_max": lambda xp, a, high: xp.minimum(a, high),
}

ARITHMETIC: Mapping[str, Operation] = {
    **ELEMENTWISE,
    "linalg_vector_norm": vector_norm,
    "norm": lambda xp, a, p=2, dim=None, keepdim=False: vector_norm(xp, a, p, dim, keepdim),
    "sum": total,
    "mean": mean,
    "var": var,
    "std": std,
    "amax": lambda xp, a, dim=(), keepdim=False: xp.max(a, axis=_axis(dim), keepdims=keepdim),
    "amin": lambda xp, a, dim=(), keepdim=False: xp.min(a, axis=_axis(dim), keepdims=keepdim),
    "softmax": softmax,
    "cumsum": lambda xp, a, dim: xp.cumsum(a, axis=dim),
    "addmm": addmm,
    "orthogonalize": orthogonalize,
    "mm": binary("matmul"),
    "mv": binary("matmul"),
    "bmm": binary("matmul"),
    "dot": binary("matmul"),
}
"""Operations on numbers. Their arrays have the dtype of the result, or float32 where that is narrower."""
