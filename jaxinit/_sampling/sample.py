"""From a JAX key to an array.

The bits are those of `jax.random.bits` for the key. The numbers of a distribution enter
the compiled program as operands, not constants, so that layers of one shape share one
program whatever their fans; and because eager calls run that same program, they agree
with `jit`, `vmap` and sharded ones to the bit.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._sampling import dtypes, kernels
from jaxinit._sampling.sharding import OutSharding, compiled, named
from jaxinit.distributions import Constant, Distribution, Normal, Random, Uniform


def sample(
    distribution: Distribution,
    key: jax.Array,
    shape: tuple[int, ...],
    dtype: np.dtype,
    out_sharding: OutSharding = None,
) -> jax.Array:
    """Independent draws of `distribution`, rounded once to `dtype` and never outside the support.

    Raises:
        ValueError: `dtype` cannot hold draws, or not the numbers of the distribution.
    """
    sharding = named(out_sharding, len(shape))
    if isinstance(distribution, Constant):
        return compiled(_fill, sharding)(dtypes.cast(distribution.value, dtype), shape=shape)
    dtypes.require_inexact(dtype)
    real = dtypes.working(dtype)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        distribution = _component(distribution, dtype)
    _arguments.check_key(key)
    dtypes.require_room(distribution, dtype)
    kernel, numbers = kernels.select(distribution, real)
    bounds = dtypes.inside(distribution, dtype)
    operands = [dtypes.operand(number, real, distribution) for number in (*bounds, *numbers)]
    flat = sharding is None and not _arguments.is_staged() and _counts(key)
    return compiled(_draw, sharding)(key, *operands, kernel=kernel, shape=shape, dtype=dtype, flat=flat)


def _component(distribution: Random, dtype: np.dtype) -> Random:
    """What torch draws the real and the imaginary part of a complex entry from."""
    match distribution:
        case Uniform():
            return distribution
        case Normal(mean, std):
            return Normal(mean, std / math.sqrt(2.0))
    raise ValueError(f"`dtype` must be real for a {distribution.kind} distribution, as in torch, got {dtype}")


def _counts(key: jax.Array) -> bool:
    """Whether the bits of an array are a function of the key and the place in a row of all entries."""
    return str(jax.random.key_impl(key)) == "threefry2x32"


def _fill(value: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    return jnp.broadcast_to(value, shape)


def _opaque(number: jax.Array, key: jax.Array) -> jax.Array:
    """The number, or-ed with a zero that no compiler knows to be one.

    Were it a constant of a caller's program, XLA or LLVM would fold it into the arithmetic
    and round otherwise than where it is an operand, so that `jit` would change bits.
    (lax.optimization_barrier does not help: it is dropped before constants are folded.)
    The zero is n^3 - n modulo 3, for n a byte of the key.
    """
    word = jnp.uint64 if number.dtype.itemsize == 8 else jnp.uint32
    n = jax.random.key_data(key).reshape(-1)[0] & jnp.uint32(255)
    nothing = (n * n * n - n) % jnp.uint32(3)
    bits = jax.lax.bitcast_convert_type(number, word) | nothing.astype(word)
    return jax.lax.bitcast_convert_type(bits, number.dtype)


def _draw(
    key: jax.Array,
    *numbers: jax.Array,
    kernel: kernels.Kernel,
    shape: tuple[int, ...],
    dtype: np.dtype,
    flat: bool,
) -> jax.Array:
    """The array; if `flat`, drawn as a row of all entries.

    XLA compiles a row in a third of the time of a convolution's four axes: it unrolls short
    inner loops. Only an eager call draws so: laid out on devices, an array has to be drawn
    in its own axes, and under a caller's `jit` only the compiler knows whether it is.
    """
    least, greatest, *rest = (_opaque(number, key) for number in numbers)
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    word = jnp.uint64 if least.dtype == jnp.float64 else jnp.uint32
    axes = (math.prod(shape),) if flat else shape
    bits = jax.random.bits(key, (2, *axes) if is_complex else axes, word)
    values = jnp.clip(kernel(bits, *rest), least, greatest)
    return (jax.lax.complex(values[0], values[1]) if is_complex else values.astype(dtype)).reshape(shape)
