"""Initializers made of others, for what no single function of torch.nn.init gives."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer, require_initializer
from jaxinit._initializers.derived import Derived
from jaxinit._initializers.elementwise import Bounded, normal
from jaxinit._initializers.scaled import Scaled
from jaxinit._initializers.variance_scaling import kaiming_normal, xavier_normal
from jaxinit._sampling import dtypes
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Array, Source
from jaxinit.distributions import Constant, Distribution, Normal, Triangular, TruncatedNormal, Uniform
from jaxinit.layouts import Layout, View


class sum_of_uniforms(Bounded):
    """Draw the sum of two independent `uniform(a, b)`: one bias where torch adds two::

        x = x1 + x2,  x1, x2 ~ U(a, b)

    Args:
        a: lower bound of each.
        b: upper bound of each.
        dtype: dtype when the call names none.

    Raises:
        ValueError: a bound is NaN or infinite, or `a > b`.

    Example:
        >>> jaxinit.composed.sum_of_uniforms(-0.125, 0.125).distribution((64,))
        Triangular(low=-0.25, high=0.25)
    """

    _namespace: ClassVar[str] = "jaxinit.composed"

    def _distribution(self, view: View) -> Distribution:
        return Triangular(2 * self.a, 2 * self.b)

    def draw_from(
        self,
        distribution: Distribution,
        source: Source,
        view: View,
        dtype: np.dtype,
        out_sharding: OutSharding = None,
    ) -> Array:
        dtypes.require_inexact(dtype)
        if np.issubdtype(dtype, np.complexfloating):
            raise ValueError(f"`dtype` must be real for a sum of uniforms, got {dtype}")
        return source.run(_sum_of_uniforms, view, out_sharding, total=distribution, dtype=dtype)


def _sum_of_uniforms(source: Source, *, view: View, total: Triangular, dtype: np.dtype) -> Any:
    each = Uniform(total.low / 2, total.high / 2)
    first, second = (part.draw(each, view, dtypes.compute_dtype(dtype)) for part in source.split(2))
    low, high = dtypes.clip_range(total, dtype)
    return first.__array_namespace__().clip(first + second, low, high).astype(dtype)


class truncated(Derived):
    """Draw from the normal distribution of another initializer, cut off at numbers of standard deviations::

        x ~ N(mean, s**2) restricted to mean + lower * s <= x <= mean + upper * s

        s = std                                             std of init
        s = std / std of N(0, 1) on [lower, upper]          with keep_std, so that std is that of x

    `truncated(normal(std=0.02))` is timm's `trunc_normal_tf_(std=0.02)` and JAX's `truncated_normal(0.02)`.
    `truncated(kaiming_normal(nonlinearity="linear"), keep_std=True)` is `lecun_normal` in both.

    Args:
        init: an initializer with a normal distribution: `normal`, `xavier_normal`, `kaiming_normal`, or one of them
            times a number.
        lower: lower bound, in standard deviations from the mean.
        upper: upper bound, in standard deviations from the mean.
        keep_std: whether x has the standard deviation of `init`. Else it is smaller, 0.88 times that for -2 and 2.
        layout: which axes of your array are torch's, by default those of `init`.
        dtype: dtype when the call names none.

    Raises:
        TypeError: `init` has no normal distribution, or a bound is not a number.
        ValueError: a bound is NaN, or `lower >= upper`.

    Example:
        >>> jaxinit.composed.truncated(jaxinit.normal(std=0.02)).distribution(())
        TruncatedNormal(loc=0.0, scale=0.02, low=-0.04, high=0.04)
        >>> lecun_normal = jaxinit.composed.truncated(jaxinit.kaiming_normal(nonlinearity="linear"), keep_std=True)
        >>> round(lecun_normal.distribution((100, 200)).std, 6)
        0.1

    Differs from `torch.nn.init.trunc_normal_`, whose bounds are values.
    """

    lower: float = -2.0
    upper: float = 2.0
    _: dataclasses.KW_ONLY
    keep_std: bool = False
    _namespace: ClassVar[str] = "jaxinit.composed"

    def __post_init__(self) -> None:
        if not _is_normal(self.init):
            raise TypeError(
                "`init` must be an initializer with a normal distribution, such as jaxinit.normal() or "
                f"jaxinit.kaiming_normal(), got {self.init!r}"
            )
        super().__post_init__()
        self._canonical(lower=_arguments.number("lower", self.lower), upper=_arguments.number("upper", self.upper))
        if self.lower >= self.upper:
            raise ValueError(f"`lower` must be less than `upper`, got lower={self.lower} and upper={self.upper}")

    def _distribution(self, view: View) -> Distribution:
        distribution = self.init._distribution(view)
        if not isinstance(distribution, Normal) or not distribution.std:
            return distribution if isinstance(distribution, Constant) else Constant(distribution.mean)
        mean, scale = distribution.mean, distribution.std
        if self.keep_std:
            scale /= TruncatedNormal(0.0, 1.0, self.lower, self.upper).std
        return TruncatedNormal(mean, scale, mean + self.lower * scale, mean + self.upper * scale)


def _is_normal(init: Initializer) -> bool:
    return isinstance(init.init if isinstance(init, Scaled) else init, normal | xavier_normal | kaiming_normal)


class with_zero_row(Initializer):
    """Draw with another initializer, then set one row to zero: the padding of an embedding::

        x[row] = 0

    Args:
        init: draws the array.
        row: index along the first axis. Negative ones count from the end.
        dtype: dtype when the call names none.

    Raises:
        TypeError: `init` is not an initializer of jaxinit, or `row` not an integer.
        ValueError: the array has no such row.

    Example:
        >>> x = jaxinit.composed.with_zero_row(jaxinit.normal(), 0)(jax.random.key(0), (10, 4))
        >>> bool((x[0] == 0).all()), bool((x[1:] == 0).any())
        (True, False)
    """

    init: Initializer
    row: int
    _namespace: ClassVar[str] = "jaxinit.composed"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_initializer("init", self.init)
        self._canonical(row=_arguments.integer("row", self.row))

    def index(self, shape: tuple[int, ...]) -> int:
        """Return the index of the row in an array of `shape`, counted from the front."""
        rows = shape[0] if shape else 0
        if not -rows <= self.row < rows:
            raise ValueError(f"`row` must be one of the {rows} rows of `shape` {shape}, got {self.row}")
        return self.row % rows

    def with_layouts(self, change: Callable[[Layout], Layout]) -> Initializer:
        return dataclasses.replace(self, init=self.init.with_layouts(change))

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        row = self.index(view.shape)
        return source.run(_with_zero_row, view, out_sharding, init=self.init, row=row, dtype=dtype)


def _with_zero_row(source: Source, *, view: View, init: Initializer, row: int, dtype: np.dtype) -> Any:
    array = init.draw(source, init.view(view.shape), dtype)
    xp = array.__array_namespace__()
    is_row = (xp.arange(view.shape[0]) == row).reshape(-1, *[1] * (len(view.shape) - 1))
    return xp.where(is_row, xp.zeros((), dtype), array)


class concatenated(Initializer):
    """Draw equal parts of an axis with one initializer each: the gates of a recurrent cell::

        x = [x_1, ..., x_n],  x_i drawn by inits[i]

    Args:
        inits: the initializers, one for each part.
        axis: the axis that is divided. Flax has the gates in the last axis, torch and Equinox in axis 0.
        dtype: dtype when the call names none.

    Raises:
        TypeError: `inits` is not a sequence of jaxinit's initializers, or `axis` is not an integer.
        ValueError: `inits` is empty, or the number of parts does not divide the axis.

    Example:
        >>> jaxinit.composed.concatenated((jaxinit.zeros(), jaxinit.ones()))(jax.random.key(0), (4,))
        Array([0., 0., 1., 1.], dtype=float32)
        >>> gates = jaxinit.composed.concatenated([jaxinit.orthogonal()] * 4)  # of an LSTM
        >>> gates(jax.random.key(0), (16, 64)).shape
        (16, 64)
    """

    inits: Sequence[Initializer]
    _: dataclasses.KW_ONLY
    axis: int = -1
    _namespace: ClassVar[str] = "jaxinit.composed"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.inits, Sequence):
            raise TypeError(f"`inits` must be a sequence of initializers, got {self.inits!r}")
        if not self.inits:
            raise ValueError(f"`inits` must have at least one initializer, got {self.inits!r}")
        for init in self.inits:
            require_initializer("inits", init)
        self._canonical(inits=tuple(self.inits), axis=_arguments.integer("axis", self.axis))

    def part(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of each part of an array of `shape`."""
        parts, rank = len(self.inits), len(shape)
        if not -rank <= self.axis < rank or shape[self.axis] % parts:
            raise ValueError(
                f"axis {self.axis} of `shape` must have a multiple of {parts} entries for the {parts} parts of {self}, "
                f"got {shape}"
            )
        sizes = list(shape)
        sizes[self.axis] //= parts
        return tuple(sizes)

    def with_layouts(self, change: Callable[[Layout], Layout]) -> Initializer:
        return dataclasses.replace(self, inits=[init.with_layouts(change) for init in self.inits])

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        self.part(view.shape)
        return source.run(_side_by_side, view, out_sharding, init=self, dtype=dtype)


def _side_by_side(source: Source, *, view: View, init: concatenated, dtype: np.dtype) -> Any:
    part, sources = init.part(view.shape), source.split(len(init.inits))
    drawn = [each.draw(own, each.view(part), dtype) for each, own in zip(init.inits, sources, strict=True)]
    return drawn[0].__array_namespace__().concatenate(drawn, axis=init.axis)
