"""The gain that keeps a signal's scale through a nonlinearity."""

import math

from jaxinit import _arguments

_SLOPE_WHEN_NOT_GIVEN = 0.01

# Beyond it the square overflows.
_STEEPEST = 1e150

_GAINS = {
    "linear": 1.0,
    "conv1d": 1.0,
    "conv2d": 1.0,
    "conv3d": 1.0,
    "conv_transpose1d": 1.0,
    "conv_transpose2d": 1.0,
    "conv_transpose3d": 1.0,
    "sigmoid": 1.0,
    "tanh": 5.0 / 3,
    "relu": math.sqrt(2.0),
    "leaky_relu": None,
    "selu": 3.0 / 4,
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """torch's recommended gain for a nonlinearity.

    ::

        linear, sigmoid, conv1d, conv2d, conv3d,
        conv_transpose1d, conv_transpose2d, conv_transpose3d    1
        tanh                                                    5 / 3
        relu                                                    sqrt(2)
        leaky_relu                                              sqrt(2 / (1 + slope ** 2))
        selu                                                    3 / 4

    Args:
        nonlinearity: a name from the table.
        param: the negative slope of leaky_relu, 0.01 when None; other nonlinearities ignore it.

    Returns:
        The gain, a factor on the standard deviation.

    Raises:
        ValueError: the nonlinearity is not in the table, or the slope is not a number.

    Example:
        >>> calculate_gain("leaky_relu", 0.2)
        1.3867504905630728

    Source: He et al., Delving Deep into Rectifiers, 2015, for relu and leaky_relu.
    Differs from torch in returning 1.0 where torch returns the int 1, and in refusing a slope of NaN.
    """
    _arguments.choice("nonlinearity", nonlinearity, _GAINS)
    gain = _GAINS[nonlinearity]
    if gain is not None:
        return gain
    return math.sqrt(2.0 / (1 + slope("param", _SLOPE_WHEN_NOT_GIVEN if param is None else param) ** 2))


def slope(name: str, value: float) -> float:
    """A negative slope as a float; torch answers ValueError to anything but an int or a float."""
    try:
        return _arguments.within(name, value, -_STEEPEST, _STEEPEST)
    except TypeError as error:
        raise ValueError(str(error)) from None
