"""Initializers made of others: what torch's modules do where one call of torch.nn.init does not say it."""

import dataclasses
from collections.abc import Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import Bounded
from jaxinit._sampling.sharding import OutSharding, compiled, named
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.distributions import Distribution, Triangular


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class sum_of_uniforms(Bounded):
    """The sum of two independent `uniform(a, b)`, as one bias where torch adds two::

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

    def distribution(self, shape: Sequence[int]) -> Distribution:
        return Triangular(2 * self.a, 2 * self.b)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class with_zero_row(Initializer):
    """Another initializer's array, but for one row of zeros: an embedding's padding::

        x[row] = 0

    Args:
        init: draws the array.
        row: index along the first axis; negative ones count from its end.
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
        _require_initializer("init", self.init)
        self._canonical("row", _arguments.integer("row", self.row))

    def _array(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, out_sharding: OutSharding) -> jax.Array:
        self._check_row(shape)
        return compiled(_without_row, named(out_sharding, len(shape)))(
            self.init(key, shape, dtype, out_sharding), row=self.row
        )

    def replayed(self, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        self._check_row(shape)
        array = np.array(self.init.replayed(generator, shape, dtype))
        array[self.row] = 0
        return array

    def _check_row(self, shape: tuple[int, ...]) -> None:
        rows = shape[0] if shape else 0
        if not -rows <= self.row < rows:
            raise ValueError(f"`row` must be one of the {rows} rows of `shape` {shape}, got {self.row}")


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class concatenated(Initializer):
    """Initializers side by side along the last axis, in equal parts: the gates of a recurrent cell::

        x = [x_1, ..., x_n],  x_i drawn by inits[i]

    Args:
        inits: the initializers, one a part.
        dtype: dtype when the call names none.

    Raises:
        TypeError: `inits` is no sequence, or one of it is not an initializer of jaxinit.
        ValueError: `inits` is empty, or the last axis cannot be divided into so many parts.

    Example:
        >>> jaxinit.composed.concatenated((jaxinit.zeros(), jaxinit.ones()))(jax.random.key(0), (4,))
        Array([0., 0., 1., 1.], dtype=float32)
    """

    inits: Sequence[Initializer]
    _namespace: ClassVar[str] = "jaxinit.composed"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.inits, Sequence):
            raise TypeError(f"`inits` must be a sequence of initializers, got {self.inits!r}")
        if not self.inits:
            raise ValueError(f"`inits` must have at least one initializer, got {self.inits!r}")
        for init in self.inits:
            _require_initializer("inits", init)
        self._canonical("inits", tuple(self.inits))

    def _array(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, out_sharding: OutSharding) -> jax.Array:
        _arguments.check_key(key)
        part = self._part(shape)
        keys = (jax.random.fold_in(key, index) for index in range(len(self.inits)))
        drawn = [init(own, part, dtype) for init, own in zip(self.inits, keys, strict=True)]
        return compiled(_side_by_side, named(out_sharding, len(shape)))(*drawn)

    def replayed(self, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        part = self._part(shape)
        return np.concatenate([init.replayed(generator, part, dtype) for init in self.inits], axis=-1)

    def _part(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        parts = len(self.inits)
        if not shape or shape[-1] % parts:
            raise ValueError(f"`shape` must end in a multiple of {parts} for the {parts} parts of {self}, got {shape}")
        return (*shape[:-1], shape[-1] // parts)


def _require_initializer(name: str, value: Any) -> None:
    if not isinstance(value, Initializer):
        raise TypeError(f"`{name}` must be an initializer such as jaxinit.normal(), got {value!r}")


def _without_row(array: jax.Array, *, row: int) -> jax.Array:
    return array.at[row].set(0)


def _side_by_side(*parts: jax.Array) -> jax.Array:
    return jnp.concatenate(parts, axis=-1)
