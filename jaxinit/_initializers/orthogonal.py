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

    From a JAX key, Q is a product of reflections that map normal vectors to axes. From a
    TorchGenerator it is torch's: Q of the QR decomposition of a normal matrix, times the
    signs of R's diagonal. Narrow dtypes are computed in float32. Complex dtypes give a
    unitary Q.

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
    linear neural networks, 2013, and Stewart, The efficient generation of random orthogonal
    matrices with an application to condition estimators, 1980. Differs from torch, which
    refuses float16, bfloat16 and complex. Eager and compiled results agree to rounding.
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
    q = (qr(normal) if isinstance(normal, np.ndarray) else _reflections(normal)) * normal.dtype.type(gain)
    return view.from_torch(tall.to_torch(q).reshape(view.torch_shape)).astype(dtype)


def _tall(view: View) -> View:
    """Return a view of the matrices `(out, in * prod(spatial))` that are decomposed: transposed where they are wide.

    A key draws the tall matrix as it is. torch draws the other one, and transposes it.
    """
    rows, columns = view.weight[0], math.prod(view.weight[1:])
    out_axis, in_axis = (-2, -1) if rows >= columns else (-1, -2)
    layout = Layout(in_axis, out_axis, batch_axis=tuple(range(len(view.batch))))
    return layout.view((*view.batch, max(rows, columns), min(rows, columns)))


def qr(matrix: Any) -> Any:
    q, r = matrix.__array_namespace__().linalg.qr(matrix)
    return q * _phase(r.diagonal(axis1=-2, axis2=-1))[..., None, :]


def _reflections(normal: jax.Array) -> jax.Array:
    """Return a product of reflections, times phases. Column i below row i is a normal vector that one maps to axis i.

    With x the vector, n its length and p the phase of its first entry x0, the reflection is
    1 - tau v v^H for v = x + p n e, and tau = 1 + |x0| / n once v is divided by its first entry.
    """
    vectors = jnp.tril(normal)
    first = vectors.diagonal(axis1=-2, axis2=-1)
    length = jnp.sqrt(jnp.square(abs(vectors)).sum(axis=-2))
    phase = _phase(first)
    tau = (1 + abs(first) / length).astype(normal.dtype)
    product = _product(vectors / (first + phase * length.astype(normal.dtype))[..., None, :], tau)
    columns: jax.Array = product * -phase[..., None, :]
    return columns


def _product(vectors: jax.Array, tau: jax.Array) -> jax.Array:
    """Return the product of each stack of reflections. A CPU computes one by one, even under the caller's vmap.

    jaxlib 0.10 computes a batch on a CPU in several tasks, and waits for them in a thread
    that they may need. A program with as many batches as the machine has cores can deadlock.
    """
    together = jax.lax.linalg.householder_product
    one = jax.custom_batching.sequential_vmap(together)
    each = jnp.vectorize(one, signature="(m,n),(n)->(m,n)")
    product: jax.Array = jax.lax.platform_dependent(vectors, tau, cpu=each, default=together)
    return product


def _phase(diagonal: Any) -> Any:
    """Return d / |d|, and 1 where d is 0: `sign` would erase a whole column there."""
    xp = diagonal.__array_namespace__()
    size = abs(diagonal)
    divisor = xp.where(size == 0, 1, size).astype(diagonal.dtype)
    return xp.where(size == 0, xp.ones((), diagonal.dtype), diagonal / divisor)
