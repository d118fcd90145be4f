"""Initializers that scale with the fans: xavier and kaiming."""

import abc
import dataclasses
import math
import warnings
from typing import Literal

import numpy as np

from jaxinit import _arguments
from jaxinit._initializers import gains
from jaxinit._initializers.base import Elementwise, WithLayout
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Array, Source
from jaxinit.distributions import Constant, Distribution, Normal, Uniform
from jaxinit.layouts import View

_MODES = ("fan_in", "fan_out")


class VarianceScaling(Elementwise, WithLayout):
    """Represent an initializer whose variance is set by the fans of the shape."""

    @abc.abstractmethod
    def _std(self, view: View) -> float | None:
        """Return the standard deviation, or None for a shape without entries."""

    def _uniform(self, view: View) -> Distribution:
        std = self._std(view)
        if std is None:
            return Constant(0.0)
        bound = math.sqrt(3.0) * std
        return Uniform(-bound, bound)

    def _normal(self, view: View) -> Distribution:
        std = self._std(view)
        return Constant(0.0) if std is None else Normal(0.0, std)


class Xavier(VarianceScaling):
    """Represent Glorot's schemes: std = gain * sqrt(2 / (fan_in + fan_out))."""

    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical(gain=_arguments.within("gain", self.gain, 0.0))

    def _std(self, view: View) -> float | None:
        fans = view.fan_in + view.fan_out
        return self.gain * math.sqrt(2.0 / float(fans)) if fans else None


class Kaiming(VarianceScaling):
    """Represent He's schemes: std = gain / sqrt(fan)."""

    a: float | None = 0.0
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    nonlinearity: str = "leaky_relu"
    _gain: float = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        a = None if self.a is None else gains.slope("a", self.a)
        mode = _arguments.choice("mode", self.mode.lower() if isinstance(self.mode, str) else self.mode, _MODES)
        nonlinearity = gains.known(self.nonlinearity)
        gain = gains.leaky_relu(a) if nonlinearity == "leaky_relu" and a is not None else gains.GAINS[nonlinearity]
        self._canonical(a=a, mode=str(mode), nonlinearity=str(nonlinearity), _gain=gain)

    def _std(self, view: View) -> float | None:
        if 0 in view.shape:
            return None
        return self._gain / math.sqrt(view.fan_in if self.mode == "fan_in" else view.fan_out)

    def draw_from(
        self,
        distribution: Distribution,
        source: Source,
        view: View,
        dtype: np.dtype,
        out_sharding: OutSharding = None,
    ) -> Array:
        if 0 in view.shape:
            _warn_empty(view)
        return super().draw_from(distribution, source, view, dtype, out_sharding)


def _warn_empty(view: View) -> None:
    warnings.warn(f"`shape` {view.shape} has no elements, so there is nothing to initialize", stacklevel=6)


class xavier_uniform(Xavier):
    """Draw uniformly, with Glorot's variance::

        x ~ U(-bound, bound),  bound = gain * sqrt(6 / (fan_in + fan_out))

    Args:
        gain: factor on the bound, at least 0. See `calculate_gain`.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `gain` is negative or not finite, or the shape lacks an axis of `layout`.

    Example:
        >>> init = jaxinit.xavier_uniform(gain=jaxinit.calculate_gain("tanh"))
        >>> low, high = init.distribution((3, 3, 64, 128)).support
        >>> round(high, 6)
        0.098209

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward
    neural networks, 2010. Differs from torch, which divides by zero for shape (0, 0).
    """

    def _distribution(self, view: View) -> Distribution:
        return self._uniform(view)


class xavier_normal(Xavier):
    """Draw from a normal distribution, with Glorot's variance::

        x ~ N(0, std**2),  std = gain * sqrt(2 / (fan_in + fan_out))

    Args:
        gain: factor on the standard deviation, at least 0. See `calculate_gain`.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `gain` is negative or not finite, or the shape lacks an axis of `layout`.

    Example:
        >>> jaxinit.xavier_normal().distribution((400, 400))
        Normal(mean=0.0, std=0.05)

    Source: Glorot and Bengio, 2010. Differs from jax.nn.initializers.xavier_normal, which
    truncates at two standard deviations.
    """

    def _distribution(self, view: View) -> Distribution:
        return self._normal(view)


class kaiming_uniform(Kaiming):
    """Draw uniformly, with He's variance::

        x ~ U(-bound, bound),  bound = gain * sqrt(3 / fan),  gain = calculate_gain(nonlinearity, a)

    Args:
        a: negative slope of a leaky_relu, None for 0.01. Other nonlinearities ignore it.
        mode: "fan_in" keeps the variance in the forward pass, "fan_out" in the backward pass.
        nonlinearity: a name that `calculate_gain` knows.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: an argument is not an allowed value, or the shape lacks an axis of `layout`.

    Warns:
        UserWarning: the shape has no elements, as in torch.

    Example:
        >>> init = jaxinit.kaiming_uniform(a=math.sqrt(5))  # torch's default for Linear and Conv
        >>> low, high = init.distribution((3, 3, 4, 8)).support
        >>> math.isclose(high, 1 / math.sqrt(3 * 3 * 4), rel_tol=1e-15)
        True

    Source: He et al., Delving Deep into Rectifiers, 2015.
    """

    def _distribution(self, view: View) -> Distribution:
        return self._uniform(view)


class kaiming_normal(Kaiming):
    """Draw from a normal distribution, with He's variance::

        x ~ N(0, std**2),  std = gain / sqrt(fan),  gain = calculate_gain(nonlinearity, a)

    Args:
        a: negative slope of a leaky_relu, None for 0.01. Other nonlinearities ignore it.
        mode: "fan_in" keeps the variance in the forward pass, "fan_out" in the backward pass.
        nonlinearity: a name that `calculate_gain` knows.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: an argument is not an allowed value, or the shape lacks an axis of `layout`.

    Warns:
        UserWarning: the shape has no elements, as in torch.

    Example:
        >>> init = jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")
        >>> round(init.distribution((3, 3, 64, 50)).std, 6)
        0.066667

    Source: He et al., 2015. Differs from jax.nn.initializers.kaiming_normal, which
    truncates at two standard deviations.
    """

    def _distribution(self, view: View) -> Distribution:
        return self._normal(view)
