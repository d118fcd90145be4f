"""Initializers that let the signal through unchanged: eye for dense, dirac for conv."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.structured import Structured, TorchShape


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class eye(Structured):
    """The identity matrix::

        w[o, i] = 1 if o == i else 0

    Args:
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        ValueError: a weight has axes besides in and out.

    Example:
        >>> jaxinit.eye()(None, (2, 3))
        Array([[1., 0., 0.],
               [0., 1., 0.]], dtype=float32)
    """

    def _check_weight(self, torch_shape: TorchShape) -> None:
        torch_shape.require_matrix("eye")

    def _draw(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
        torch_shape = self._torch_shape(shape)
        one = jnp.eye(torch_shape.out, torch_shape.into, dtype=dtype)
        return self.layout.from_torch(jnp.broadcast_to(one, torch_shape.whole), shape)


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class dirac(Structured):
    """Dirac's delta: each group of channels passes through a convolution unchanged::

        w[g * out / groups + d, d, k // 2, ...] = 1  for d < min(out / groups, in),  else 0

    Args:
        groups: number of groups of the convolution, at least 1.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        TypeError: `groups` is not an integer.
        ValueError: `groups < 1`, a weight has not 1 to 3 spatial axes, or `groups` does not
            divide its number of outputs.

    Example:
        >>> w = jaxinit.dirac()(None, (3, 3, 4, 8))
        >>> float(w[1, 1].trace()), float(w.sum())
        (4.0, 4.0)

    Differs from torch in refusing groups below 1.
    """

    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical("groups", _arguments.integer("groups", self.groups))
        if self.groups < 1:
            raise ValueError(f"`groups` must be at least 1, got {self.groups}")

    def _check_weight(self, torch_shape: TorchShape) -> None:
        weight = torch_shape.weight
        if not 1 <= len(torch_shape.spatial) <= 3:
            raise ValueError(f"`shape` must give weights of 3, 4 or 5 dimensions for dirac, got torch's {weight}")
        if torch_shape.out % self.groups:
            raise ValueError(f"`groups` must divide the {torch_shape.out} outputs, got {self.groups}")

    def _draw(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
        torch_shape = self._torch_shape(shape)
        index = functools.partial(jax.lax.broadcasted_iota, jnp.int32, torch_shape.weight)
        passes = index(0) % (torch_shape.out // self.groups) == index(1)
        for axis, size in enumerate(torch_shape.spatial, start=2):
            passes &= index(axis) == size // 2
        return self.layout.from_torch(jnp.broadcast_to(passes.astype(dtype), torch_shape.whole), shape)
