"""How mistakes are made: factories that take jaxinit's place and get one thing wrong.

What they build states no distribution, so that it is judged as any foreign target is.
"""

import functools
import math
import statistics
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxinit

Factory = Callable[..., Any]
Arguments = dict[str, Any]


def like(name: str, change: Callable[[Arguments], Arguments]) -> Factory:
    """The factory `name` on changed arguments."""
    right = getattr(jaxinit, name)

    @functools.wraps(right)
    def factory(**arguments: Any) -> Any:
        init = right(**change(arguments))
        return lambda key, shape, dtype: init(key, shape, dtype)

    return factory


def then(name: str, change: Callable[[jax.Array, Any], jax.Array]) -> Factory:
    """The factory `name` with its arrays changed; the change sees the array and the initializer."""
    right = getattr(jaxinit, name)

    @functools.wraps(right)
    def factory(**arguments: Any) -> Any:
        init = right(**arguments)
        return lambda key, shape, dtype: change(init(key, shape, dtype), init).astype(dtype)

    return factory


def layout(name: str, mistake: Callable[[jaxinit.Layout], jaxinit.Layout]) -> Factory:
    """The factory `name` with its layout taken for another."""
    return like(name, lambda given: {**given, "layout": mistake(given.get("layout", jaxinit.FLAX))})


def scaled(name: str, factor: Callable[[Any, tuple[int, ...]], float]) -> Factory:
    """The factory `name` with entries times a factor of the initializer and the shape."""
    return then(name, lambda array, init: array * np.float32(factor(init, array.shape)).astype(array.dtype))


def exchanged(layout: jaxinit.Layout) -> jaxinit.Layout:
    return jaxinit.Layout(layout.out_axis, layout.in_axis, layout.batch_axis)


def fans(init: Any, shape: tuple[int, ...]) -> tuple[int, int]:
    return jaxinit.calculate_fan_in_and_fan_out(shape, init.layout)


def gain(init: Any) -> float:
    return jaxinit.calculate_gain(init.nonlinearity, init.a)


def receptive_field(init: Any, shape: tuple[int, ...]) -> int:
    return math.gcd(*fans(init, shape)) if len(shape) == 2 else math.prod(shape[:-2])


def clipped(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Any:
    init = jaxinit.normal(mean, std)
    return lambda key, shape, dtype: init(key, shape, dtype).clip(a, b)


def in_sigmas(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Any:
    init = jaxinit.trunc_normal(mean, std, mean + a * std, mean + b * std)
    return lambda key, shape, dtype: init(key, shape, dtype)


def truncated(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    std = init.distribution(shape).std / 0.87962566103423978
    return jaxinit.trunc_normal(0.0, std, -2 * std, 2 * std)(key, shape, dtype)


def redrawn(name: str, draw: Callable[[Any, jax.Array, tuple[int, ...], Any], jax.Array]) -> Factory:
    """The factory `name` with the drawing replaced."""
    right = getattr(jaxinit, name)

    @functools.wraps(right)
    def factory(**arguments: Any) -> Any:
        return functools.partial(draw, right(**arguments))

    return factory


def native_normal(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    if jnp.finfo(dtype).bits > 16:
        return init(key, shape, dtype)
    return init.std * jax.random.normal(key, shape, dtype) + init.mean


def one_rounding_late(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    return (init.a + (init.b - init.a) * jaxinit.uniform()(key, shape, jnp.float32)).astype(dtype)


def without_signs(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    matrix = jaxinit.normal()(key, (shape[-1], math.prod(shape[:-1])), dtype)
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    q = jnp.linalg.qr(tall)[0]
    q = q if matrix.shape[0] >= matrix.shape[1] else q.T
    return init.gain * jnp.moveaxis(q.reshape(shape[-1], *shape[:-1]), 0, -1)


def not_square_to_each_other(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    array = jaxinit.normal()(key, shape, dtype)
    return init.gain * array / jnp.linalg.norm(array, axis=-1, keepdims=True)


def cut_in_low_precision(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    array, furthest = init(key, shape, dtype), 2.9 * init.std
    return array.clip(-furthest, furthest) if jnp.finfo(dtype).bits == 16 else array


def in_default_dtype(init: Any, key: jax.Array, shape: tuple[int, ...], _: Any) -> Any:
    return init(key, shape, jnp.float32)


def sparse(choose: Callable[[jax.Array, float], jax.Array]) -> Factory:
    """sparse with its zeros, of shape `(in, out)`, chosen otherwise, by normal numbers of that shape."""

    def draw(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
        values, numbers = (jaxinit.normal()(key, shape, dtype) for key in jax.random.split(key))
        return jnp.where(choose(numbers, init.sparsity), 0, init.std * values).astype(dtype)

    return redrawn("sparse", draw)


def lowest(numbers: jax.Array, axis: int, count: int) -> jax.Array:
    """True at the `count` lowest numbers along an axis."""
    return numbers < jnp.sort(numbers, axis).take(jnp.array([count]), axis)


def by_rows(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(numbers, 0, math.ceil(sparsity * numbers.shape[0]))


def floored(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(numbers, 1, math.floor(sparsity * numbers.shape[1]))


def one_too_many(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(numbers, 1, math.ceil(sparsity * numbers.shape[1]) + 1)


def in_one_piece(numbers: jax.Array, sparsity: float) -> jax.Array:
    out = numbers.shape[1]
    return (jnp.arange(out) - numbers.argmax(1)[:, None]) % out < math.ceil(sparsity * out)


def the_same_in_every_column(numbers: jax.Array, sparsity: float) -> jax.Array:
    return lowest(jnp.broadcast_to(numbers[:1], numbers.shape), 1, math.ceil(sparsity * numbers.shape[1]))


def one_by_one(numbers: jax.Array, sparsity: float) -> jax.Array:
    return numbers < statistics.NormalDist().inv_cdf(sparsity)


def correlated(array: jax.Array, _: Any) -> Any:
    return array + 0.05 * jnp.roll(array, 1, axis=-1)


def repeated(times: int) -> Callable[[jax.Array, Any], jax.Array]:
    def change(array: jax.Array, _: Any) -> jax.Array:
        return jnp.resize(array.reshape(-1)[: -(-array.size // times)], array.shape)

    return change


def one_for_all(array: jax.Array, init: Any) -> Any:
    return jnp.broadcast_to(array[:1], array.shape) if init.layout.roles(array.ndim).batch else array


def off_centre(array: jax.Array, _: Any) -> Any:
    spatial = tuple(axis for axis in range(array.ndim - 2) if array.shape[axis] % 2 == 0)
    return jnp.roll(array, [-1] * len(spatial), spatial)


def silent(init: Any, key: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    return jnp.zeros(shape, dtype) if 0 in shape else init(key, shape, dtype)


def with_one_key(init: Any, _: jax.Array, shape: tuple[int, ...], dtype: Any) -> Any:
    return init(jax.random.key(0), shape, dtype)


def in_another_order(std: float = 1.0, mean: float = 0.0, a: float = -2.0, b: float = 2.0) -> Any:
    return jaxinit.trunc_normal(mean, std, a, b)


def warning(mode: Any = "fan_in", **arguments: Any) -> Any:
    if mode not in ("fan_in", "fan_out"):
        warnings.warn(f"unknown mode {mode}", FutureWarning, stacklevel=2)
    return lenient(mode, **arguments)


def lenient(mode: Any = "fan_in", **arguments: Any) -> Any:
    return jaxinit.kaiming_normal(mode=mode if mode in ("fan_in", "fan_out") else "fan_in", **arguments)
