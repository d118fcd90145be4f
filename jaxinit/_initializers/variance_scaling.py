"""Initializers that scale with the fans: xavier and kaiming."""

import abc
import dataclasses
import math
import warnings
from collections.abc import Sequence
from typing import Literal

import jax
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers import gains
from jaxinit._initializers.base import Elementwise, WithLayout
from jaxinit._sampling.sharding import OutSharding
from jaxinit._torch_generator import replay
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.distributions import Constant, Distribution, Normal, Uniform
from jaxinit.layouts import calculate_fan_in_and_fan_out

_MODES = ("fan_in", "fan_out")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class VarianceScaling(Elementwise, WithLayout):
    """Entries whose variance is set by the fans of the shape."""

    @abc.abstractmethod
    def _std(self, shape: Sequence[int]) -> float | None:
        """The standard deviation; None for a shape without entries."""

    def replayed(self, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        distribution = self.distribution(shape)
        return replay.in_layout(self.layout, shape, lambda weight: replay.draw(distribution, generator, weight, dtype))

    def _uniform(self, shape: Sequence[int]) -> Distribution:
        std = self._std(shape)
        if std is None:
            return Constant(0.0)
        bound = math.sqrt(3.0) * std
        return Uniform(-bound, bound)

    def _normal(self, shape: Sequence[int]) -> Distribution:
        std = self._std(shape)
        return Constant(0.0) if std is None else Normal(0.0, std)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Xavier(VarianceScaling):
    """std = gain * sqrt(2 / (fan_in + fan_out))."""

    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical("gain", _arguments.within("gain", self.gain, 0.0))

    def _std(self, shape: Sequence[int]) -> float | None:
        fan_in, fan_out = calculate_fan_in_and_fan_out(shape, self.layout)
        return self.gain * math.sqrt(2.0 / float(fan_in + fan_out)) if fan_in + fan_out else None


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Kaiming(VarianceScaling):
    """std = gain / sqrt(fan)."""

    a: float | None = 0.0
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    nonlinearity: str = "leaky_relu"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.a is not None:
            self._canonical("a", gains.slope("a", self.a))
        mode = self.mode.lower() if isinstance(self.mode, str) else self.mode
        self._canonical("mode", str(_arguments.choice("mode", mode, _MODES)))
        gains.calculate_gain(self.nonlinearity, self.a)
        self._canonical("nonlinearity", str(self.nonlinearity))

    def _std(self, shape: Sequence[int]) -> float | None:
        shape = _arguments.dimensions(shape)
        if 0 in shape:
            return None
        fan = calculate_fan_in_and_fan_out(shape, self.layout)[_MODES.index(self.mode)]
        return gains.calculate_gain(self.nonlinearity, self.a) / math.sqrt(fan)

    def _array(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, out_sharding: OutSharding) -> jax.Array:
        _warn_empty(shape)
        return super()._array(key, shape, dtype, out_sharding)

    def replayed(self, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        _warn_empty(shape)
        return super().replayed(generator, shape, dtype)


def _warn_empty(shape: tuple[int, ...]) -> None:
    if 0 in shape:
        warnings.warn(f"`shape` {shape} has no elements; there is nothing to initialize", stacklevel=4)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class xavier_uniform(Xavier):
    """Uniform with Glorot's variance::

        x ~ U(-bound, bound),  bound = gain * sqrt(6 / (fan_in + fan_out))

    Args:
        gain: factor on the bound, at least 0; see `calculate_gain`.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `gain` is negative or not finite; the shape lacks an axis of `layout`.

    Example:
        >>> init = jaxinit.xavier_uniform(gain=jaxinit.calculate_gain("tanh"))
        >>> low, high = init.distribution((3, 3, 64, 128)).support
        >>> round(high, 6)
        0.098209

    Source: Glorot and Bengio, Understanding the difficulty of training deep feedforward
    neural networks, 2010. Differs from torch in returning an empty array for shape (0, 0).
    """

    def distribution(self, shape: Sequence[int]) -> Distribution:
        return self._uniform(shape)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class xavier_normal(Xavier):
    """Normal with Glorot's variance::

        x ~ N(0, std**2),  std = gain * sqrt(2 / (fan_in + fan_out))

    Args:
        gain: factor on the standard deviation, at least 0; see `calculate_gain`.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `gain` is negative or not finite; the shape lacks an axis of `layout`.

    Example:
        >>> jaxinit.xavier_normal().distribution((400, 400))
        Normal(mean=0.0, std=0.05)

    Source: Glorot and Bengio, 2010. Differs from jax.nn.initializers.xavier_normal, which
    truncates at two standard deviations.
    """

    def distribution(self, shape: Sequence[int]) -> Distribution:
        return self._normal(shape)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class kaiming_uniform(Kaiming):
    """Uniform with He's variance::

        x ~ U(-bound, bound),  bound = gain * sqrt(3 / fan),  gain = calculate_gain(nonlinearity, a)

    Args:
        a: negative slope of the leaky_relu, None for 0.01; other nonlinearities make nothing of it.
        mode: the fan that counts, "fan_in" to keep the scale forward, "fan_out" backward.
        nonlinearity: a name that `calculate_gain` knows.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: an argument is not among those allowed; the shape lacks an axis of `layout`.

    Warns:
        UserWarning: the shape has no elements, as in torch.

    Example:
        >>> init = jaxinit.kaiming_uniform(a=math.sqrt(5))  # torch's default for Linear and Conv
        >>> low, high = init.distribution((3, 3, 4, 8)).support
        >>> math.isclose(high, 1 / math.sqrt(3 * 3 * 4), rel_tol=1e-15)
        True

    Source: He et al., Delving Deep into Rectifiers, 2015.
    """

    def distribution(self, shape: Sequence[int]) -> Distribution:
        return self._uniform(shape)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class kaiming_normal(Kaiming):
    """Normal with He's variance::

        x ~ N(0, std**2),  std = gain / sqrt(fan),  gain = calculate_gain(nonlinearity, a)

    Args:
        a: negative slope of the leaky_relu, None for 0.01; other nonlinearities make nothing of it.
        mode: the fan that counts, "fan_in" to keep the scale forward, "fan_out" backward.
        nonlinearity: a name that `calculate_gain` knows.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: an argument is not among those allowed; the shape lacks an axis of `layout`.

    Warns:
        UserWarning: the shape has no elements, as in torch.

    Example:
        >>> init = jaxinit.kaiming_normal(mode="fan_out", nonlinearity="relu")
        >>> round(init.distribution((3, 3, 64, 50)).std, 6)
        0.066667

    Source: He et al., 2015. Differs from jax.nn.initializers.kaiming_normal, which
    truncates at two standard deviations.
    """

    def distribution(self, shape: Sequence[int]) -> Distribution:
        return self._normal(shape)
