"""Faults in the distribution of an entry: fans, gains, scales, bounds and precision."""

import math
from typing import Any

import jax
import jax.numpy as jnp

import jaxinit

from .fault import DRAWN, arguments, array, draw, factory, layout, scale

Shape = tuple[int, ...]
Given = dict[str, Any]


def fans(init: Any, shape: Shape) -> tuple[int, int]:
    return jaxinit.calculate_fan_in_and_fan_out(shape, init.layout)


@layout("fan_in and fan_out exchanged", "kaiming_uniform", DRAWN)
@layout("fan_in and fan_out exchanged", "kaiming_normal", DRAWN)
def exchanged(given: jaxinit.Layout) -> jaxinit.Layout:
    return jaxinit.Layout(given.out_axis, given.in_axis, given.batch_axis)


@scale("fan_in alone for the mean of both fans", "xavier_normal", DRAWN)
def fan_in_alone(init: Any, shape: Shape) -> float:
    return math.sqrt(sum(fans(init, shape)) / 2 / fans(init, shape)[0])


@layout("transposed convolution 'corrected'", "kaiming_uniform", DRAWN)
def corrected(given: jaxinit.Layout) -> jaxinit.Layout:
    return jaxinit.FLAX if given.in_axis == 3 else given


@layout("OIHW read as HWIO", "xavier_uniform", DRAWN)
def torchs_axes(given: jaxinit.Layout) -> jaxinit.Layout:
    return jaxinit.TORCH if given == jaxinit.FLAX else given


@scale("packed query, key and value taken for one", "xavier_uniform", DRAWN)
def unpacked(init: Any, shape: Shape) -> float:
    fan_in, fan_out = fans(init, shape)
    return math.sqrt((fan_in + fan_out) / (fan_in + fan_out / 3))


@scale("spatial axes left out", "kaiming_normal", DRAWN)
def without_spatial(init: Any, shape: Shape) -> float:
    field = math.gcd(*fans(init, shape)) if len(shape) == 2 else math.prod(shape[:-2])
    return math.sqrt(field)


@scale("experts counted as inputs", "kaiming_normal", DRAWN)
def with_experts(init: Any, shape: Shape) -> float:
    return 1 / math.sqrt(shape[0]) if init.layout.batch_axis != () else 1.0


@scale("gain missing", "kaiming_normal", DRAWN)
def without_gain(init: Any, _: Shape) -> float:
    return 1 / jaxinit.calculate_gain(init.nonlinearity, init.a)


@scale("gain squared", "kaiming_uniform", DRAWN)
def gain_twice(init: Any, _: Shape) -> float:
    return jaxinit.calculate_gain(init.nonlinearity, init.a)


@scale("gain of relu by default", "xavier_uniform", DRAWN)
def gain_of_relu(_: Any, __: Shape) -> float:
    return math.sqrt(2)


@arguments("slope 0.01 for 0", "kaiming_uniform", DRAWN)
def slope(given: Given) -> Given:
    return {"a": 0.01, **given}


@scale("std taken for the bound", "kaiming_uniform", DRAWN)
def std_for_bound(_: Any, __: Shape) -> float:
    return 3**-0.5


@scale("bound taken for the std", "xavier_normal", DRAWN)
def bound_for_std(_: Any, __: Shape) -> float:
    return 3**0.5


@arguments("variance taken for the std", "normal", DRAWN)
def variance(given: Given) -> Given:
    return {**given, "std": given.get("std", 1.0) ** 2}


@draw("truncated at two sigma", "kaiming_normal", DRAWN)
@draw("truncated at two sigma", "xavier_normal", DRAWN)
def truncated(init: Any, key: jax.Array, shape: Shape, dtype: Any) -> Any:
    std = init.distribution(shape).std / 0.87962566103423978  # the std of a normal truncated at 2 sigma
    return jaxinit.trunc_normal(0.0, std, -2 * std, 2 * std)(key, shape, dtype)


@factory("bounds in sigmas", "trunc_normal", DRAWN)
def in_sigmas(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Any:
    init = jaxinit.trunc_normal(mean, std, mean + a * std, mean + b * std)
    return lambda key, shape, dtype: init(key, shape, dtype)


@factory("clipped, not truncated", "trunc_normal", DRAWN)
def clipped(mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Any:
    init = jaxinit.normal(mean, std)
    return lambda key, shape, dtype: init(key, shape, dtype).clip(a, b)


@array("clipped at 4 sigma", "normal", "tails")
def without_tails(drawn: jax.Array, init: Any) -> Any:
    return drawn.clip(init.mean - 4 * init.std, init.mean + 4 * init.std)


@scale("scale off by 1%", "normal", "scale")
def wider_by_1_percent(_: Any, __: Shape) -> float:
    return 1.01


@scale("scale off by 1%", "kaiming_normal", "scale")
def narrower_by_1_percent(_: Any, __: Shape) -> float:
    return 0.99


@scale("bound off by 0.1%", "uniform", "bounds|support")
def wider_by_1_permille(_: Any, __: Shape) -> float:
    return 1.001


@scale("bound off by 0.1%", "xavier_uniform", "bounds|support")
def narrower_by_1_permille(_: Any, __: Shape) -> float:
    return 0.999


@array("wider by 1e-4", "uniform", "support")
def a_little_wider(drawn: jax.Array, _: Any) -> jax.Array:
    return drawn * 1.0001 - 0.00005


@array("mean off by 0.005 sigma", "normal", "mean")
def shifted(drawn: jax.Array, init: Any) -> Any:
    return drawn + 0.005 * init.std


@draw("drawn in bfloat16", "normal", "distinct values")
def drawn_in_bfloat16(init: Any, key: jax.Array, shape: Shape, dtype: Any) -> Any:
    if jnp.finfo(dtype).bits > 16:
        return init(key, shape, dtype)
    return init.std * jax.random.normal(key, shape, dtype) + init.mean


@draw("tails cut in low precision", "normal", "tails")
def cut_in_low_precision(init: Any, key: jax.Array, shape: Shape, dtype: Any) -> Any:
    drawn, furthest = init(key, shape, dtype), 2.9 * init.std
    return drawn.clip(-furthest, furthest) if jnp.finfo(dtype).bits == 16 else drawn


@draw("upper bound reached by rounding", "uniform", "support")
def rounded_late(init: Any, key: jax.Array, shape: Shape, dtype: Any) -> Any:
    return (init.a + (init.b - init.a) * jaxinit.uniform()(key, shape, jnp.float32)).astype(dtype)
