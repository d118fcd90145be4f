"""Initializers that pass the signal through unchanged: eye for dense layers, dirac for convolutions."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.base import WithLayout, require_matrix
from jaxinit._sampling import dtypes
from jaxinit._sampling.sharding import OutSharding, jit_sharded, resolve
from jaxinit._sampling.source import Source
from jaxinit.layouts import View


class eye(WithLayout):
    """Build the identity matrix::

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

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> jax.Array:
        require_matrix(view, "eye")
        dtypes.cast(0.0, dtype)
        return jit_sharded(_eye, resolve(out_sharding, len(view.shape)))(view=view, dtype=dtype)


def _eye(*, view: View, dtype: np.dtype) -> jax.Array:
    rows, columns = view.weight
    one = jnp.eye(rows, columns, dtype=dtype)
    return view.from_torch(jnp.broadcast_to(one, view.torch_shape))


class dirac(WithLayout):
    """Build a kernel that passes each group of channels through a convolution unchanged::

        w[g * out / groups + d, d, k // 2, ...] = 1  for d < min(out / groups, in),  else 0

    Args:
        groups: number of groups of the convolution, at least 1.
        layout: which axes of your array are torch's.
        dtype: dtype when the call names none.

    Raises:
        TypeError: `groups` is not an integer.
        ValueError: `groups < 1`, the weights do not have 1 to 3 spatial axes, or `groups`
            does not divide the number of outputs.

    Example:
        >>> w = jaxinit.dirac()(None, (3, 3, 4, 8))
        >>> float(w[1, 1].trace()), float(w.sum())
        (4.0, 4.0)

    Differs from torch: groups below 1 are refused.
    """

    groups: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical(groups=_arguments.integer("groups", self.groups))
        if self.groups < 1:
            raise ValueError(f"`groups` must be at least 1, got {self.groups}")

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> jax.Array:
        out, _, *spatial = view.weight
        if not 1 <= len(spatial) <= 3:
            raise ValueError(f"`shape` must give weights of 3, 4 or 5 dimensions for dirac, got torch's {view.weight}")
        if out % self.groups:
            raise ValueError(f"`groups` must divide the {out} outputs, got {self.groups}")
        dtypes.cast(0.0, dtype)
        return jit_sharded(_dirac, resolve(out_sharding, len(view.shape)))(groups=self.groups, view=view, dtype=dtype)


def _dirac(*, groups: int, view: View, dtype: np.dtype) -> jax.Array:
    out, _, *spatial = view.weight
    index = functools.partial(jax.lax.broadcasted_iota, jnp.int32, view.weight)
    passes = index(0) % max(out // groups, 1) == index(1)
    for axis, size in enumerate(spatial, start=2):
        passes &= index(axis) == size // 2
    return view.from_torch(jnp.broadcast_to(passes.astype(dtype), view.torch_shape))
