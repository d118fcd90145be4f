"""What the entries of a node are drawn from, by the arithmetic that was done to a draw.

    a X + b is U(a low + b, a high + b) for X ~ U(low, high), and N(a mean + b, (a std)^2) for X ~ N(mean, std^2)

timm draws a truncated normal as `erfinv(U(2 F(a) - 1, 2 F(b) - 1)) * std * sqrt(2) + mean`,
where F is the standard normal's cdf. It is recognised too.
"""

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from jaxinit._initializers.base import Elementwise
from jaxinit._recipes.nodes import Node, Ref
from jaxinit.distributions import Constant, Distribution, Normal, TruncatedNormal, Uniform, affine

# The bounds that erfinv gives and those that torch clamps to differ by rounding alone.
_ROUNDING = 1e-5

# Sigmas beyond which no float32 normal is drawn.
_FAR = 6.4


Found = Sequence[Distribution | None]


def distributions(nodes: Sequence[Node]) -> list[Distribution | None]:
    """Return the distribution of the entries of each node, or None where they are not all drawn from one."""
    found: list[Distribution | None] = []
    for node in nodes:
        inputs = [(found[index], nodes[index].dtype) for index in node.inputs]
        found.append(_in_kind(node.dtype, _of(node, found), inputs))
    return found


def _in_kind(
    dtype: str, distribution: Distribution | None, inputs: Sequence[tuple[Distribution | None, str]]
) -> Distribution | None:
    """Return the distribution, or None where random entries become integers, complex, or the real part of complex."""
    kind = _kind(dtype)
    if isinstance(distribution, Constant):
        return distribution if kind in ("floating", "complex") else _whole(distribution.value, kind)
    changed = (own for each, own in inputs if each is not None and not isinstance(each, Constant))
    return None if any(_kind(own) != kind for own in changed) else distribution


def _kind(dtype: str) -> str:
    return "floating" if dtype.startswith(("float", "bfloat")) else re.sub(r"\d+$", "", dtype)


def _whole(value: Any, kind: str) -> Distribution | None:
    """Return a constant as torch casts it to an integer or a boolean, or None where that is not defined."""
    if isinstance(value, complex) or not math.isfinite(value):
        return None
    return Constant(bool(value) if kind == "bool" else int(value))


def _of(node: Node, found: Found) -> Distribution | None:
    def of(argument: Ref) -> Distribution | None:
        return found[argument.index]

    match node.op, node.args:
        case "draw", (init, *_):
            return init.distribution(node.shape) if isinstance(init, Elementwise) else None
        case "full", (number,):
            return Constant(number)
        case "data", (data,):
            return _of_data(data.array())
        case "write", (before, _, value):
            return of(before) if of(before) == of(value) else None
        case "copy", (_, source):
            return of(source)
        case (("cat" | "stack"), (parts, *_)):
            first, *others = (of(part) for part in parts)
            return first if all(other == first for other in others) else None
        case (("read" | "to_copy" | "clone"), (source, *_)):
            return of(source)
    rule = _RULES.get(node.op)
    operands = [of(each) if isinstance(each, Ref) else each for each in node.args]
    return None if rule is None or None in operands[:1] else rule(*operands)


def _of_data(array: np.ndarray) -> Distribution | None:
    if array.size == 0 or not (array == array.reshape(-1)[0]).all():
        return None
    return Constant(array.reshape(-1)[0].item())


def _number(value: Any) -> float | None:
    """Return the number that an operand is for every entry, or None."""
    if isinstance(value, Constant):
        value = value.value
    return float(value) if isinstance(value, (int, float)) else None


def _affine(x: Distribution, scale: float, shift: float) -> Distribution | None:
    """Return the distribution of `scale * x + shift`, or None if a number is not finite."""
    if not (math.isfinite(scale) and math.isfinite(shift)):
        return None
    return affine(x, scale, shift=shift) if scale else Constant(shift)


def _mul(x: Any, other: Any) -> Distribution | None:
    number = _number(other)
    if number is None:
        x, number = other, _number(x)
    return None if number is None or x is None else _affine(x, number, 0.0)


def _add(x: Any, other: Any, alpha: float = 1) -> Distribution | None:
    number = _number(other)
    if number is not None:
        return _affine(x, 1.0, number * alpha)
    number = _number(x)
    return None if number is None or other is None else _affine(other, alpha, number)


def _sub(x: Any, other: Any, alpha: float = 1) -> Distribution | None:
    return _add(x, other, -alpha)


def _div(x: Any, other: Any, rounding_mode: str | None = None) -> Distribution | None:
    number = _number(other)
    return None if not number or rounding_mode else _affine(x, 1 / number, 0.0)


def _erfinv(x: Distribution) -> Distribution | None:
    """Return the distribution of erfinv(U(low, high)): a normal of variance 1/2, truncated."""
    if not isinstance(x, Uniform) or not -1 <= x.low < x.high <= 1:
        return None
    low, high = _scalar_erfinv(x.low), _scalar_erfinv(x.high)
    return (
        Normal(0.0, math.sqrt(0.5))
        if (low, high) == (-math.inf, math.inf)
        else TruncatedNormal(0.0, math.sqrt(0.5), low, high)
    )


def _scalar_erfinv(x: float) -> float:
    import statistics  # only here, as it takes longer to import than the rest of this package

    if abs(x) == 1:
        return math.copysign(math.inf, x)
    return math.copysign(-statistics.NormalDist().inv_cdf((1 - abs(x)) / 2) / math.sqrt(2.0), x)


def _clamp(x: Any, minimum: Any = None, maximum: Any = None) -> Distribution | None:
    """Return the distribution of x where the bounds cut off no more than rounding does."""
    least = -math.inf if minimum is None else _number(minimum)
    greatest = math.inf if maximum is None else _number(maximum)
    if least is None or greatest is None:
        return None
    match x:
        case Constant(value):
            return Constant(min(max(value.real, least), greatest))
        case Uniform(low, high):
            return x if least <= low and high <= greatest else None
        case Normal(mean, std):
            x = TruncatedNormal(mean, std, -math.inf, math.inf)
    ends = _bound(x, x.low, least, -1), _bound(x, x.high, greatest, 1)
    match ends:
        case (float(low), float(high)) if math.isinf(low) and math.isinf(high):
            return Normal(x.loc, x.scale)
        case (float(low), float(high)):
            return TruncatedNormal(x.loc, x.scale, low, high)
    return None


def _bound(x: TruncatedNormal, own: float, other: float, side: int) -> float | None:
    """Return the bound on one side of x after clamping to `other`, or None where much of x is moved there."""
    if abs(own - other) <= _ROUNDING * x.scale:
        return other
    if side * (other - own) > 0:
        return own
    return other if side * (other - x.loc) > _FAR * x.scale else None


_RULES: dict[str, Callable[..., Distribution | None]] = {
    "mul": _mul,
    "add": _add,
    "sub": _sub,
    "rsub": lambda x, other, alpha=1: _add(_mul(x, -1.0), other) if alpha == 1 else None,
    "div": _div,
    "neg": lambda x: _affine(x, -1.0, 0.0),
    "erfinv": _erfinv,
    "clamp": _clamp,
    "clamp_min": lambda x, low: _clamp(x, low, None),
    "clamp_max": lambda x, high: _clamp(x, None, high),
}
