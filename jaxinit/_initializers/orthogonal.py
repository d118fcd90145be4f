"""Random (semi-)orthogonal weights, from the Haar distribution."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.base import WithLayout
from jaxinit._sampling import dtypes
from jaxinit._sampling.sharding import OutSharding
from jaxinit._sampling.source import Array, Source
from jaxinit.distributions import Constant, Normal, Uniform
from jaxinit.layouts import Layout, View


class orthogonal(WithLayout):
    """Draw a (semi-)orthogonal matrix from the Haar distribution, times a gain::

        w = gain * Q,  Q Q^T = 1 or Q^T Q = 1,  for torch's weight seen as (out, in * prod(spatial))

    Q comes from the QR decomposition of a normal matrix. Its columns are multiplied by the
    signs of R's diagonal, as Q would not be uniformly distributed without them. Narrow dtypes
    are computed in float32. Complex dtypes give a unitary Q.

    Args:
        gain: factor on every entry.
        layout: which axes of your array are torch's. Stacked weights are drawn independently.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `gain` is not finite, or the shape lacks an axis of `layout`.

    Example:
        >>> w = jaxinit.orthogonal()(jax.random.key(0), (64, 32))
        >>> bool(jnp.allclose(w.T @ w, jnp.eye(32), atol=1e-5))
        True

    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, 2013; Mezzadri, How to generate random matrices from the
    classical compact groups, 2007, for the signs. Differs from torch, which refuses
    float16, bfloat16 and complex. Eager and compiled results agree to rounding.
    """

    gain: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical(gain=_arguments.finite("gain", self.gain))

    def draw(self, source: Source, view: View, dtype: np.dtype, out_sharding: OutSharding = None) -> Array:
        dtypes.require_inexact(dtype)
        dtypes.check_range(Uniform(-abs(self.gain), abs(self.gain)), dtype)
        if 0 in view.shape:
            return source.draw(Constant(0.0), view, dtype, out_sharding)
        return source.run(_haar, view, out_sharding, gain=self.gain, dtype=dtype)


def _haar(source: Source, *, view: View, gain: float, dtype: np.dtype) -> Any:
    tall = _tall(view)
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    normal = source.draw(Normal(0.0, 1.0), tall, dtype if is_complex else dtypes.compute_dtype(dtype))
    q, r = np.linalg.qr(normal) if isinstance(normal, np.ndarray) else _qr(normal)
    q = q * _phase(r.diagonal(axis1=-2, axis2=-1))[..., None, :] * q.dtype.type(gain)
    return view.from_torch(tall.to_torch(q).reshape(view.torch_shape)).astype(dtype)


def _tall(view: View) -> View:
    """Return a view of the matrices `(out, in * prod(spatial))` that are decomposed: transposed where they are wide.

    A key draws the tall matrix as it is. torch draws the other one, and transposes it.
    """
    rows, columns = view.weight[0], math.prod(view.weight[1:])
    out_axis, in_axis = (-2, -1) if rows >= columns else (-1, -2)
    layout = Layout(in_axis, out_axis, batch_axis=tuple(range(len(view.batch))))
    return layout.view((*view.batch, max(rows, columns), min(rows, columns)))


def _qr(stack: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return Q and R of each matrix. A CPU decomposes one after the other, even under the caller's vmap.

    jaxlib 0.10 decomposes a stack on a CPU in several tasks, and waits for them in a thread
    that they may need. A program with as many stacks as the machine has cores can deadlock.
    """
    one = jax.custom_batching.sequential_vmap(_both)
    each = jnp.vectorize(one, signature="(m,n)->(m,k),(k,n)")
    decomposed: tuple[jax.Array, jax.Array] = jax.lax.platform_dependent(stack, cpu=each, default=_both)
    return decomposed


def _both(stack: jax.Array) -> tuple[jax.Array, jax.Array]:
    q, r = jnp.linalg.qr(stack)
    return q, r


def _phase(diagonal: Any) -> Any:
    """Return d / |d|, and 1 where d is 0: `sign` would erase a whole column there."""
    xp = diagonal.__array_namespace__()
    size = abs(diagonal)
    divisor = xp.where(size == 0, 1, size).astype(diagonal.dtype)
    return xp.where(size == 0, xp.ones((), diagonal.dtype), diagonal / divisor)
