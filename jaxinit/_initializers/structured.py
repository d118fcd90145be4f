"""Initializers that are defined on torch's array as a whole, and carried into your layout."""

import abc
import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.base import WithLayout
from jaxinit._sampling import dtypes
from jaxinit._sampling.sharding import OutSharding, compiled, named
from jaxinit._torch_generator import replay
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.layouts import TORCH


@dataclasses.dataclass(frozen=True)
class TorchShape:
    """The shape of torch's array: independent weights `batch`, each `(out, into, *spatial)`."""

    batch: tuple[int, ...]
    out: int
    into: int
    spatial: tuple[int, ...]

    @property
    def weight(self) -> tuple[int, ...]:
        return (self.out, self.into, *self.spatial)

    def require_matrix(self, name: str) -> None:
        """Refuses weights with spatial axes."""
        if self.spatial:
            raise ValueError(f"`shape` must give weights of 2 dimensions for {name}, got torch's {self.weight}")

    @property
    def whole(self) -> tuple[int, ...]:
        return self.batch + self.weight


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Structured(WithLayout):
    """An initializer given by the array that torch would have made."""

    _is_random: ClassVar[bool] = False

    def _check_weight(self, torch_shape: TorchShape) -> None:
        """Raises ValueError where torch does."""

    @abc.abstractmethod
    def _draw(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
        """Your array; called inside a compiled function, for a shape that has entries."""

    def _array(
        self, key: jax.Array | None, shape: tuple[int, ...], dtype: np.dtype, out_sharding: OutSharding
    ) -> jax.Array:
        self._check_weight(self._torch_shape(shape))
        sharding = named(out_sharding, len(shape))
        if self._is_random:
            _arguments.check_key(key)
        else:
            dtypes.cast(0.0, dtype)
        return compiled(_build, sharding)(key if self._is_random else None, init=self, shape=shape, dtype=dtype)

    def replayed(self, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        self._check_weight(self._torch_shape(shape))
        return replay.in_layout(self.layout, shape, lambda weight: self._weight(generator, weight, dtype))

    def _weight(self, generator: TorchGenerator, weight: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """torch's array of shape `weight`, by torch's calls; where nothing is random, by no call."""
        torchs = dataclasses.replace(self, layout=TORCH)
        return np.asarray(torchs._array(None, weight, dtype, None))

    def _torch_shape(self, shape: tuple[int, ...]) -> TorchShape:
        stacked = len(self.layout.roles(len(shape)).batch)
        sizes = self.layout.torch_shape(shape)
        return TorchShape(sizes[:stacked], sizes[stacked], sizes[stacked + 1], sizes[stacked + 2 :])


def _build(key: jax.Array, *, init: Structured, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
    return init._draw(key, shape, dtype) if math.prod(shape) else jnp.zeros(shape, dtype)
