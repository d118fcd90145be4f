"""Layouts: where torch's axes lie in an array of yours."""

import dataclasses
import pickle
import re
from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxinit
from jaxinit import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout
from jaxinit.layouts import as_layout

Transpose = Callable[[np.ndarray], np.ndarray]

# The table of the design, each transposition written out by hand.
TABLE: list[tuple[Layout, tuple[int, ...], Transpose]] = [
    (FLAX, (3, 5), lambda x: x.T),
    (FLAX, (2, 3, 5), lambda x: np.einsum("kio->oik", x)),
    (FLAX, (2, 4, 3, 5), lambda x: np.einsum("klio->oikl", x)),
    (FLAX, (2, 4, 6, 3, 5), lambda x: np.einsum("klmio->oiklm", x)),
    (FLAX_CONV_TRANSPOSE, (2, 4, 3, 5), lambda x: np.einsum("klio->iokl", x)),
    (TORCH, (5, 3), lambda x: x),
    (TORCH, (5, 3, 2, 4), lambda x: x),
    (Layout(batch_axis=0), (7, 3, 5), lambda x: np.stack([weight.T for weight in x])),
    (Layout(in_axis=0, out_axis=(1, 2)), (3, 5, 7), lambda x: x.reshape(3, 35).T),
    (Layout(in_axis=(0, 1), out_axis=2), (3, 5, 7), lambda x: x.reshape(15, 7).T),
    (Layout(0, 1, (2, 3)), (3, 5, 2, 4), lambda x: np.einsum("ioab->aboi", x)),
]


@st.composite
def layouts_and_shapes(draw: st.DrawFn) -> tuple[Layout, tuple[int, ...]]:
    rank = draw(st.integers(2, 6))
    ins = draw(st.integers(1, rank - 1))
    outs = draw(st.integers(1, rank - ins))
    batches = draw(st.integers(0, rank - ins - outs))
    axes = [axis - rank if draw(st.booleans()) else axis for axis in draw(st.permutations(range(rank)))]
    form: Any = draw(st.sampled_from([tuple, list, lambda axes: np.array(axes, int)]))
    parts = [form(axes[:ins]), form(axes[ins : ins + outs]), form(axes[ins + outs : ins + outs + batches])]
    shape = draw(st.lists(st.integers(0, 4), min_size=rank, max_size=rank))
    return Layout(*parts), tuple(shape)


@pytest.mark.parametrize(("layout", "shape", "by_hand"), TABLE)
def test_to_torch_is_the_transposition_written_by_hand(
    layout: Layout, shape: tuple[int, ...], by_hand: Transpose
) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    np.testing.assert_array_equal(layout.to_torch(array), by_hand(array))
    np.testing.assert_array_equal(layout.to_torch(jnp.asarray(array)), by_hand(array))
    assert layout.torch_shape(shape) == by_hand(array).shape


@given(layouts_and_shapes())
@settings(deadline=None, max_examples=100)
def test_from_torch_undoes_to_torch(drawn: tuple[Layout, tuple[int, ...]]) -> None:
    layout, shape = drawn
    array = np.arange(np.prod(shape)).reshape(shape)
    torch_array = layout.to_torch(array)
    assert torch_array.shape == layout.torch_shape(shape)
    np.testing.assert_array_equal(layout.from_torch(torch_array, shape), array)


@given(layouts_and_shapes())
@settings(deadline=None, max_examples=100)
def test_roles_name_every_axis_once(drawn: tuple[Layout, tuple[int, ...]]) -> None:
    layout, shape = drawn
    roles = layout.view(shape).roles
    assert sorted(roles.order) == list(range(len(shape)))
    assert roles.spatial == tuple(sorted(roles.spatial))


@pytest.mark.parametrize(
    "in_axis",
    [0, (0,), [0], np.array(0), np.array([0]), np.int64(0), jnp.array([0])],
    ids=lambda value: f"{type(value).__name__}{np.ndim(value)}",
)
def test_every_way_to_write_an_axis_is_the_same_layout(in_axis: int) -> None:
    layout = Layout(in_axis=in_axis, out_axis=1)
    assert layout == Layout(in_axis=0, out_axis=1)
    assert hash(layout) == hash(Layout(in_axis=0, out_axis=1))
    assert repr(layout) == repr(Layout(in_axis=0, out_axis=1))


@pytest.mark.parametrize("layout", [row[0] for row in TABLE])
def test_repr_builds_the_layout(layout: Layout) -> None:
    assert eval(repr(layout), {"jaxinit": jaxinit}) == layout


def test_named_layouts_are_printed_by_name() -> None:
    assert repr(Layout(-2, -1)) == "jaxinit.FLAX"
    assert repr(Layout(1, 0)) == "jaxinit.TORCH"
    assert repr(Layout(-1, -2)) == "jaxinit.FLAX_CONV_TRANSPOSE"


@pytest.mark.parametrize(
    "axes",
    [
        {"in_axis": 0, "out_axis": 0},
        {"in_axis": (0, 0), "out_axis": 1},
        {"in_axis": 0, "out_axis": 1, "batch_axis": 1},
        {"in_axis": (0, 1), "out_axis": (1, 2)},
        {"in_axis": -1},
    ],
)
def test_an_axis_named_twice_is_refused(axes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"`in_axis`, `out_axis` and `batch_axis` must name each axis once, got in_"):
        Layout(**axes)


@pytest.mark.parametrize(
    ("layout", "shape"),
    [
        (Layout(in_axis=1, out_axis=-1), (2, 3)),
        (Layout(in_axis=0, out_axis=-2), (2, 3)),
        (Layout(in_axis=(0, -3), out_axis=1), (2, 3, 4)),
        (Layout(batch_axis=1), (2, 3)),
    ],
)
def test_an_axis_named_twice_once_the_rank_is_known_is_refused(layout: Layout, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="must name each axis once"):
        layout.torch_shape(shape)
    with pytest.raises(ValueError, match="must name each axis once"):
        layout.to_torch(np.zeros(shape))


@pytest.mark.parametrize(
    ("layout", "shape", "least"),
    [(FLAX, (3,), 2), (FLAX, (), 2), (TORCH, (3,), 2), (Layout(batch_axis=-4), (1, 2, 3), 4), (Layout(0, 5), (1,), 6)],
)
def test_an_axis_that_does_not_exist_is_refused(layout: Layout, shape: tuple[int, ...], least: int) -> None:
    with pytest.raises(
        ValueError, match=rf"`shape` must have at least {least} dimensions for layout .*, got {re.escape(str(shape))}"
    ):
        layout.torch_shape(shape)


@pytest.mark.parametrize("name", ["in_axis", "out_axis"])
def test_no_axis_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must name at least one axis, got \(\)"):
        Layout(**{name: ()})


@pytest.mark.parametrize("axis", [0.0, "0", None, True, [[0]], (0.5,), np.array([0.0])])
@pytest.mark.parametrize("name", ["in_axis", "out_axis", "batch_axis"])
def test_an_axis_that_is_no_integer_is_refused(name: str, axis: object) -> None:
    with pytest.raises(TypeError, match=rf"`{name}` must be an integer"):
        Layout(**{name: axis})  # type: ignore[arg-type]  # which is refused


def test_from_torch_refuses_another_shape() -> None:
    with pytest.raises(ValueError, match=r"`array` must have torch's shape \(5, 3\) for jaxinit.FLAX.*got \(3, 5\)"):
        FLAX.from_torch(np.zeros((3, 5)), (3, 5))


@pytest.mark.parametrize(
    ("text", "layout"),
    [
        *((text, FLAX) for text in ("IO", "WIO", "HWIO", "DHWIO")),
        *((text, TORCH) for text in ("OI", "OIW", "OIHW", "OIDHW")),
        *((text, Layout(-1, 0)) for text in ("OWI", "OHWI", "ODHWI")),
        *((text, Layout(-1, -2)) for text in ("WOI", "HWOI")),
        *((text, Layout(0, 1)) for text in ("IOW", "IOHW")),
        ("IHWO", Layout(0, -1)),
        ("HIOW", Layout(1, -2)),
    ],
)
def test_a_text_names_the_axes_of_its_letters(text: str, layout: Layout) -> None:
    assert as_layout(text) == layout
    sizes = {"O": 2, "I": 3, "D": 5, "H": 7, "W": 11}
    shape = tuple(sizes[letter] for letter in text)
    assert layout.torch_shape(shape) == (2, 3, *(size for size in shape if size > 3))
    for init in (jaxinit.kaiming_normal(layout=text), jaxinit.orthogonal(layout=text)):
        assert init.layout == layout
        assert eval(repr(init), {"jaxinit": jaxinit}) == pickle.loads(pickle.dumps(init)) == init
    assert jaxinit.calculate_fan_in_and_fan_out(shape, text) == jaxinit.calculate_fan_in_and_fan_out(shape, layout)
    assert dataclasses.replace(jaxinit.eye(), layout=text).layout == layout


@pytest.mark.parametrize("text", ["EIO", "BIO", "NIO", "hwio", "TORCH", "HW", "I", "O", "", "HHIO", "IIO", "I O"])
def test_a_text_of_other_letters_is_refused(text: str) -> None:
    message = "`layout` must have the letters O and I once, and D, H or W for spatial axes, got {!r}. Name stacked axes"
    with pytest.raises(ValueError, match=re.escape(message.format(text))):
        jaxinit.xavier_uniform(layout=text)
    with pytest.raises(ValueError, match=re.escape(message.format(text))):
        jaxinit.calculate_fan_in_and_fan_out((2, 3), text)
