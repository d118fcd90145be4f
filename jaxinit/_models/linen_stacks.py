"""Layers stacked along further axes, as `nn.scan` and `nn.vmap` stack them: each layer is drawn by itself."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxinit._initializers.base import Elementwise, WithLayout
from jaxinit._models.correspondence import with_layout
from jaxinit.layouts import Layout

Init = Callable[..., jax.Array]


def stacked_axes(stack: Sequence[int], one: Sequence[int]) -> tuple[int, ...] | None:
    """The axes that an array of shape `stack` has beyond those of one layer's: the first, where sizes leave a choice.

    None if it is no stack of such layers.

    Example:
        >>> from jaxinit._models.linen_stacks import stacked_axes
        >>> stacked_axes((12, 64, 256), (64, 256)), stacked_axes((64, 12, 256), (64, 256)), stacked_axes((64,), (32,))
        ((0,), (1,), None)
    """
    own: list[int] = []
    for size in reversed(one):
        before = range(own[-1] if own else len(stack))
        axis = next((axis for axis in reversed(before) if stack[axis] == size), None)
        if axis is None:
            return None
        own.append(axis)
    return tuple(axis for axis in range(len(stack)) if axis not in own)


def each(init: Init, rank: int, further: int) -> Init:
    """The initializer for a stack of arrays of `rank` axes: `further` axes in front, independent draws along them."""
    if not further or (isinstance(init, Elementwise) and not isinstance(init, WithLayout)):
        return init
    if isinstance(init, WithLayout):
        return with_layout(init, _in_front(init.layout, rank, further))
    return _mapped(init, further)


def _in_front(layout: Layout, rank: int, further: int) -> Layout:
    """The layout of `rank` axes with batch axes in front of them."""
    roles = layout.view((1,) * rank).roles
    batch, out, into = (tuple(axis - rank for axis in axes) for axes in (roles.batch, roles.out, roles.into))
    return dataclasses.replace(layout, in_axis=into, out_axis=out, batch_axis=(*range(further), *batch))


def _mapped(init: Init, further: int) -> Init:
    """`init` for each of the stacked arrays, with a key of its own."""

    def draw(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
        def one(key: jax.Array) -> jax.Array:
            return init(key, shape[further:], dtype)

        for _ in range(further):
            one = jax.vmap(one)
        return one(jax.random.split(key, shape[:further]))

    return draw
