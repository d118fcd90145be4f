"""From a JAX key to an array.

The bits are those of `jax.random.bits` for the key. The parameters of a distribution enter
the compiled program as operands, not as constants. So layers of one shape share a program
whatever their fans. On a CPU eager calls share one program for all shapes. They agree with
`jit`, `vmap` and sharded ones to the bit, since an entry depends on the key and its index.
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit import _arguments
from jaxinit._sampling import dtypes, eager, kernels
from jaxinit._sampling.bits import bits, bits_at
from jaxinit._sampling.sharding import OutSharding, jit_sharded, resolve
from jaxinit.distributions import Constant, Distribution, Random


def sample(
    distribution: Distribution,
    key: jax.Array,
    shape: tuple[int, ...],
    dtype: np.dtype,
    out_sharding: OutSharding = None,
) -> jax.Array:
    """Draw independent entries of `distribution`, rounded once to `dtype` and never outside the support.

    Raises:
        ValueError: `dtype` is too narrow for the distribution, or no dtype for random values.
    """
    sharding = resolve(out_sharding, len(shape))
    if isinstance(distribution, Constant):
        value = dtypes.cast(distribution.value, dtype)
        if sharding is None and jax.default_backend() == "cpu" and eager.is_eager():
            return eager.constant(value, shape)
        return jit_sharded(_fill, sharding)(value, shape=shape)
    _arguments.check_key(key)
    kernel, integers, params = _plan(distribution, dtype)
    is_real = not jnp.issubdtype(dtype, jnp.complexfloating)
    if sharding is None and is_real and eager.can_fill(key, math.prod(shape)):
        return eager.fill(
            key, shape, dtype, lambda start: _piece(key, start, params, kernel=kernel, integers=integers, dtype=dtype)
        )
    return jit_sharded(_draw, sharding)(key, params, kernel=kernel, integers=integers, shape=shape, dtype=dtype)


@functools.lru_cache(maxsize=1024)
def _plan(distribution: Random, dtype: np.dtype) -> tuple[kernels.Kernel, int, np.ndarray]:
    """Return the kernel, how many of its parameters are integers, and the words of them all and of the clip range.

    The words are one array. Where a scalar enters a traced operation, JAX prints the operation
    each time that Flax asks a tracer for its sharding, which takes longer than the tracing.
    """
    dtypes.require_inexact(dtype)
    real = dtypes.compute_dtype(dtype)
    if jnp.issubdtype(dtype, jnp.complexfloating):
        distribution = dtypes.component(distribution, dtype)
    dtypes.check_range(distribution, dtype)
    kernel, params = kernels.select(distribution, real)
    integers = sum(isinstance(param, int) for param in params)
    numbers = (*params, *dtypes.clip_range(distribution, dtype))
    return kernel, integers, dtypes.as_words(numbers, real, distribution)


def _fill(value: jax.Array, *, shape: tuple[int, ...]) -> jax.Array:
    return jnp.broadcast_to(value, shape)


def _opaque(params: jax.Array, key: jax.Array) -> jax.Array:
    """Return the words, or-ed with a zero that no compiler recognises.

    As constants of a caller's program, the numbers would be folded into the arithmetic by
    XLA or LLVM. They would then round otherwise than as operands, so that `jit` would change
    bits. The zero is n^3 - n modulo 3, where n is a byte of the key.
    """
    # lax.optimization_barrier does not help: XLA drops it before it folds constants.
    n = jax.random.key_data(key).reshape(-1)[0] & jnp.uint32(255)
    nothing = (n * n * n - n) % jnp.uint32(3)
    opaque: jax.Array = params | nothing.astype(params.dtype)
    return opaque


def _draw(
    key: jax.Array, params: jax.Array, *, kernel: kernels.Kernel, integers: int, shape: tuple[int, ...], dtype: np.dtype
) -> jax.Array:
    is_complex = jnp.issubdtype(dtype, jnp.complexfloating)
    words = bits(key, (2, *shape) if is_complex else shape, params.dtype)
    values = _values(words, _opaque(params, key), kernel, integers)
    return jax.lax.complex(values[0], values[1]) if is_complex else values.astype(dtype)


@functools.partial(jax.jit, static_argnames=("kernel", "integers", "dtype"))
def _piece(
    key: jax.Array, start: jax.Array, params: jax.Array, *, kernel: kernels.Kernel, integers: int, dtype: np.dtype
) -> jax.Array:
    """Return the entries of the flat array from `start` on."""
    words = bits_at(key, start + jax.lax.iota(jnp.uint32, eager.PIECE), params.dtype)
    return _values(words, _opaque(params, key), kernel, integers).astype(dtype)


def _values(words: jax.Array, params: jax.Array, kernel: kernels.Kernel, integers: int) -> jax.Array:
    real = jnp.float64 if params.dtype == jnp.uint64 else jnp.float32
    *reals, least, greatest = jnp.unstack(jax.lax.bitcast_convert_type(params[integers:], real))
    return jnp.clip(kernel(words, *jnp.unstack(params[:integers]), *reals), least, greatest)
