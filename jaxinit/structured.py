"""Initializers that are defined on torch's array as a whole, and carried into your layout."""

import dataclasses
import functools
import math

import jax
import numpy as np
from jax.sharding import NamedSharding

from jaxinit.initializer import WithLayout
from jaxinit.placement import OutSharding, named, placed


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

    @property
    def whole(self) -> tuple[int, ...]:
        return self.batch + self.weight


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Structured(WithLayout):
    """An initializer given by the array that torch would have made."""

    def _check_weight(self, torch_shape: TorchShape) -> None:
        """Raises ValueError where torch does."""

    def _torch_array(self, key: jax.Array, torch_shape: TorchShape, dtype: np.dtype) -> jax.Array:
        """torch's array, of shape `torch_shape.whole`; called inside a compiled function."""
        raise NotImplementedError

    def _array(
        self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype, out_sharding: OutSharding
    ) -> jax.Array:
        self._check_weight(self._torch_shape(shape))
        return _build(key, init=self, shape=shape, dtype=dtype, sharding=named(out_sharding))

    def _torch_shape(self, shape: tuple[int, ...]) -> TorchShape:
        stacked = len(self.layout.roles(len(shape)).batch)
        sizes = self.layout.torch_shape(shape)
        return TorchShape(sizes[:stacked], sizes[stacked], sizes[stacked + 1], sizes[stacked + 2 :])


@functools.partial(jax.jit, static_argnames=("init", "shape", "dtype", "sharding"))
def _build(
    key: jax.Array, *, init: Structured, shape: tuple[int, ...], dtype: np.dtype, sharding: NamedSharding | None
) -> jax.Array:
    def draw(key: jax.Array) -> jax.Array:
        if math.prod(shape) == 0:
            return jax.numpy.zeros(shape, dtype)
        return init.layout.from_torch(init._torch_array(key, init._torch_shape(shape), dtype), shape)

    return placed(draw, sharding)(key)
