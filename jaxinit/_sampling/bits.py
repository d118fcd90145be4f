"""The random bits of `jax.random.bits`, from a program that XLA compiles and runs faster on a CPU.

JAX's threefry on a CPU is a loop of rounds that is compiled again for each shape, and runs
at a fifth of the speed of the same rounds written out. Here they are written out.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np

# Salmon et al., Parallel random numbers: as easy as 1, 2, 3, 2011, section 3.3 (Threefry-2x32, 20 rounds).
_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = 0x1BD11BDA

Pair = tuple[jax.Array, jax.Array]


def can_be_counted(key: jax.Array, size: int) -> bool:
    """Return whether the bits of each of `size` entries follow from the key and a 32-bit index alone."""
    is_threefry = str(jax.random.key_impl(key)) == "threefry2x32"
    is_partitionable = jax.config.jax_threefry_partitionable  # type: ignore[attr-defined]  # not in JAX's stubs
    return bool(is_threefry and is_partitionable and size < 2**32)


def bits(key: jax.Array, shape: tuple[int, ...], word: np.dtype) -> jax.Array:
    """Return `jax.random.bits(key, shape, word)`."""
    if not can_be_counted(key, math.prod(shape)):
        return jax.random.bits(key, shape, word)
    drawn: jax.Array = jax.lax.platform_dependent(
        key,
        cpu=lambda key: bits_at(key, _index(shape), word),
        default=lambda key: jax.random.bits(key, shape, word),
    )
    return drawn


def bits_at(key: jax.Array, index: jax.Array, word: np.dtype) -> jax.Array:
    """Encrypt the index of each entry with the key, as JAX does where threefry is partitionable."""
    data = jax.random.key_data(key)
    high, low = _threefry(data[..., 0], data[..., 1], index)
    if word == jnp.uint64:
        return (high.astype(word) << jnp.asarray(32, word)) | low.astype(word)
    return high ^ low


def _index(shape: tuple[int, ...]) -> jax.Array:
    """Return the index of each entry in the flat array."""
    index = jnp.zeros(shape, jnp.uint32)
    for axis in range(len(shape)):
        stride = jnp.uint32(math.prod(shape[axis + 1 :]))
        index += jax.lax.broadcasted_iota(jnp.uint32, shape, axis) * stride
    return index


def _threefry(first: jax.Array, second: jax.Array, index: jax.Array) -> Pair:
    """Return the two words that threefry makes of the counter (0, index)."""
    keys = (first, second, first ^ second ^ jnp.uint32(_PARITY))
    x, y = jnp.broadcast_to(keys[0], index.shape), index + keys[1]
    for group in range(5):
        for rotation in _ROTATIONS[group % 2]:
            x = x + y
            y = (y << jnp.uint32(rotation)) | (y >> jnp.uint32(32 - rotation))
            y = y ^ x
        x = x + keys[(group + 1) % 3]
        y = y + keys[(group + 2) % 3] + jnp.uint32(group + 1)
    return x, y
