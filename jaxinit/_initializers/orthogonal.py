"""Random (semi-)orthogonal weights, uniform over all of them."""

import dataclasses
import math
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.structured import Structured
from jaxinit._sampling import dtypes
from jaxinit._sampling.sample import sample
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit.distributions import Normal, Uniform


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class orthogonal(Structured):
    """A (semi-)orthogonal matrix from the Haar distribution, times a gain::

        w = gain * Q,  Q Q^T = 1 or Q^T Q = 1,  for torch's weight seen as (out, in * prod(spatial))

    Q comes from the QR decomposition of a normal matrix, its columns multiplied by the
    signs of R's diagonal; without the signs Q would not be uniformly distributed. Low
    precision dtypes are computed in float32; complex ones give a unitary Q.

    Args:
        gain: factor on every entry.
        layout: which axes of your array are torch's; stacked weights are drawn independently.
        dtype: dtype when the call names none.

    Raises:
        ValueError: `gain` is not finite; the shape lacks an axis of `layout`.

    Example:
        >>> w = jaxinit.orthogonal()(jax.random.key(0), (64, 32))
        >>> bool(jnp.allclose(w.T @ w, jnp.eye(32), atol=1e-5))
        True

    Source: Saxe et al., Exact solutions to the nonlinear dynamics of learning in deep
    linear neural networks, 2013; Mezzadri, How to generate random matrices from the
    classical compact groups, 2007, for the signs. Differs from torch, which refuses
    float16, bfloat16 and complex; eager and compiled results agree to rounding.
    """

    gain: float = 1.0
    _is_random: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical("gain", _arguments.finite("gain", self.gain))

    def _draw(self, key: jax.Array, shape: tuple[int, ...], dtype: np.dtype) -> jax.Array:
        dtypes.require_inexact(dtype)
        dtypes.require_room(Uniform(-abs(self.gain), abs(self.gain)), dtype)
        torch_shape = self._torch_shape(shape)
        rows, columns = torch_shape.out, torch_shape.into * math.prod(torch_shape.spatial)
        tall = (*torch_shape.batch, max(rows, columns), min(rows, columns))
        wide_enough = dtype if jnp.issubdtype(dtype, jnp.complexfloating) else dtypes.working(dtype)
        q, r = _qr(sample(Normal(0.0, 1.0), key, tall, wide_enough))
        q = q * _phase(jnp.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
        q = q if rows >= columns else q.mT
        weights = (q * jnp.asarray(self.gain, q.dtype)).reshape(torch_shape.whole)
        return self.layout.from_torch(weights, shape).astype(dtype)

    def _weight(self, generator: TorchGenerator, weight: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """torch's QR differs from NumPy's in rounding, and knows no 16 bits; these are drawn in float32."""
        dtypes.require_drawn_by_torch(dtype)
        dtypes.require_room(Uniform(-abs(self.gain), abs(self.gain)), dtype)
        normal = generator.normal(0.0, 1.0, (weight[0], math.prod(weight[1:])), dtypes.working(dtype))
        is_tall = normal.shape[0] >= normal.shape[1]
        q, r = np.linalg.qr(normal if is_tall else normal.T)
        q = q * np.where(np.diagonal(r) < 0, -1, 1).astype(q.dtype)
        return np.asarray((q if is_tall else q.T) * q.dtype.type(self.gain)).reshape(weight).astype(dtype)


def _qr(stack: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Q and R of each matrix; on a CPU one after the other, also under the caller's vmap.

    jaxlib decomposes a stack there in several tasks and waits for them in a thread that they
    may need: a program with as many stacks as the machine has cores can wait for ever.
    """
    one = jax.custom_batching.sequential_vmap(_both)
    each = jnp.vectorize(one, signature="(m,n)->(m,k),(k,n)")
    decomposed: tuple[jax.Array, jax.Array] = jax.lax.platform_dependent(stack, cpu=each, default=_both)
    return decomposed


def _both(stack: jax.Array) -> tuple[jax.Array, jax.Array]:
    q, r = jnp.linalg.qr(stack)
    return q, r


def _phase(diagonal: jax.Array) -> jax.Array:
    """d / |d|, and 1 where d is 0 (jnp.sign would erase a whole column there)."""
    size = abs(diagonal)
    divisor = jnp.where(size == 0, 1, size).astype(diagonal.dtype)
    return jnp.where(size == 0, 1, diagonal / divisor)
