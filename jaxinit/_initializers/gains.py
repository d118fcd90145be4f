"""Gains: factors on the standard deviation that keep the variance through a nonlinearity."""

import math
from typing import Any

from jaxinit import _arguments

_SLOPE = 0.01

_CONVOLUTIONS = [f"{name}{rank}d" for name in ("conv", "conv_transpose") for rank in (1, 2, 3)]

GAINS = {
    **dict.fromkeys(["linear", *_CONVOLUTIONS, "sigmoid"], 1.0),
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "leaky_relu": math.sqrt(2.0 / (1 + _SLOPE**2)),
    "selu": 3.0 / 4,
}


_LIKE_RELU = ("elu", "gelu", "mish", "silu", "softplus", "swish")


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Return the gain that torch recommends for a nonlinearity.

    ::

        linear, sigmoid, conv1d, conv2d, conv3d,
        conv_transpose1d, conv_transpose2d, conv_transpose3d    1
        tanh                                                    5 / 3
        relu                                                    sqrt(2)
        leaky_relu                                              sqrt(2 / (1 + slope ** 2))
        selu                                                    3 / 4

    Args:
        nonlinearity: a name from the table.
        param: the negative slope of leaky_relu, 0.01 when None. Other nonlinearities ignore it.

    Raises:
        ValueError: the nonlinearity is not in the table, or the slope is not a number.

    Example:
        >>> calculate_gain("leaky_relu", 0.2)
        1.3867504905630728

    Source: He et al., Delving Deep into Rectifiers, 2015, for relu and leaky_relu.
    Differs from torch: 1.0 where torch returns the int 1, and a slope of NaN is refused.
    """
    if known(nonlinearity) != "leaky_relu":
        return GAINS[nonlinearity]
    return leaky_relu(_SLOPE if param is None else slope("param", param))


def known(nonlinearity: Any) -> str:
    """Return `nonlinearity` if it has a gain."""
    hint = ". torch has no gain for it, and 'relu' is the usual choice" if nonlinearity in _LIKE_RELU else ""
    return _arguments.choice("nonlinearity", nonlinearity, GAINS, hint)


def leaky_relu(slope: float) -> float:
    """Return the gain of a leaky_relu with this negative slope."""
    return math.sqrt(2.0 / (1 + slope**2))


def slope(name: str, value: float) -> float:
    """Return a negative slope as a float. torch raises ValueError for anything but an int or a float."""
    try:
        return _arguments.finite(name, value)
    except TypeError as error:
        raise ValueError(str(error)) from None
