"""Fans, against torch's own."""

import inspect
import math
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from jaxinit import FLAX_CONV_TRANSPOSE, TORCH, Layout, calculate_fan_in_and_fan_out
from tests.jaxinit.test_layouts import layouts_and_shapes

_torch_fans = torch.nn.init._calculate_fan_in_and_fan_out

SHAPES = st.lists(st.integers(1, 6), min_size=2, max_size=5).map(tuple)


def torch_fans(shape: tuple[int, ...]) -> tuple[int, int]:
    return _torch_fans(torch.empty(shape, device="meta"))


@given(SHAPES)
@settings(deadline=None)
def test_torch_layout_gives_torchs_fans(shape: tuple[int, ...]) -> None:
    assert calculate_fan_in_and_fan_out(shape, TORCH) == torch_fans(shape)


@given(SHAPES)
@settings(deadline=None)
def test_flax_layouts_give_torchs_fans(shape: tuple[int, ...]) -> None:
    out, into, *spatial = shape
    assert calculate_fan_in_and_fan_out((*spatial, into, out)) == torch_fans(shape)
    assert calculate_fan_in_and_fan_out((*spatial, out, into), FLAX_CONV_TRANSPOSE) == torch_fans(shape)
    assert calculate_fan_in_and_fan_out((7, *spatial, into, out), Layout(batch_axis=0)) == torch_fans(shape)


@given(layouts_and_shapes())
@settings(deadline=None)
def test_every_layout_gives_the_fans_of_its_torch_array(drawn: tuple[Layout, tuple[int, ...]]) -> None:
    layout, shape = drawn
    weight = layout.view(shape).weight
    assert calculate_fan_in_and_fan_out(shape, layout) == torch_fans(weight)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("kernel", [(3,), (3, 5), (1, 2, 3)])
def test_fans_of_torchs_own_modules(kernel: tuple[int, ...], groups: int) -> None:
    rank = len(kernel)
    conv = getattr(torch.nn, f"Conv{rank}d")(8, 12, kernel, groups=groups, device="meta")
    assert calculate_fan_in_and_fan_out((*kernel, 8 // groups, 12)) == _torch_fans(conv.weight)
    transposed = getattr(torch.nn, f"ConvTranspose{rank}d")(8, 12, kernel, device="meta")
    assert calculate_fan_in_and_fan_out((*kernel, 8, 12), FLAX_CONV_TRANSPOSE) == _torch_fans(transposed.weight)
    # transpose_kernel=True stores (*k, out, in).
    assert calculate_fan_in_and_fan_out((*kernel, 12, 8)) == _torch_fans(transposed.weight)


def test_fans_are_python_ints() -> None:
    fans = calculate_fan_in_and_fan_out((3, 4, 5))
    assert fans == (12, 15)
    assert all(type(fan) is int for fan in fans)


def test_fans_do_not_overflow() -> None:
    assert math.prod(calculate_fan_in_and_fan_out((2**40, 2**40, 3))) == 2**80 * 2**40 * 3


@pytest.mark.parametrize("shape", [(), (5,)])
def test_fewer_than_two_dimensions_are_refused_as_in_torch(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="fewer than 2 dimensions"):
        torch_fans(shape)
    with pytest.raises(ValueError, match=rf"`shape` must have at least 2 dimensions .* got {re.escape(str(shape))}"):
        calculate_fan_in_and_fan_out(shape)


def test_what_is_no_layout_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`layout` must be a jaxinit.Layout such as jaxinit.TORCH or .*, got -2"):
        calculate_fan_in_and_fan_out((3, 4), -2)  # type: ignore[arg-type]  # which is refused


def test_layout_is_flax_by_default() -> None:
    default = inspect.signature(calculate_fan_in_and_fan_out).parameters["layout"].default
    assert default == Layout(in_axis=-2, out_axis=-1)
