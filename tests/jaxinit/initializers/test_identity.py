"""eye and dirac: torch's array, element for element."""

import jax
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxinit
from jaxinit import FLAX_CONV_TRANSPOSE, TORCH, Layout

LAYOUTS = [(jaxinit.FLAX, (-2, -1)), (FLAX_CONV_TRANSPOSE, (-1, -2)), (TORCH, (1, 0))]


def flax_shape(torch_shape: tuple[int, ...], axes: tuple[int, int]) -> tuple[int, ...]:
    """The shape of an array whose torch axes 1 and 0 are at `axes`."""
    if axes == (1, 0):
        return torch_shape
    out, into, *spatial = torch_shape
    return (*spatial, *((into, out) if axes == (-2, -1) else (out, into)))


@given(rows=st.integers(0, 9), columns=st.integers(0, 9), place=st.sampled_from(LAYOUTS))
@settings(deadline=None, max_examples=25)
def test_eye_is_torchs(rows: int, columns: int, place: tuple[Layout, tuple[int, int]]) -> None:
    layout, axes = place
    values = jaxinit.eye(layout=layout)(jax.random.key(0), flax_shape((rows, columns), axes))
    expected = torch.nn.init.eye_(torch.full((rows, columns), 7.0)).numpy()
    np.testing.assert_array_equal(layout.to_torch(values), expected)


@given(
    per_group=st.integers(1, 5),
    groups=st.integers(1, 4),
    into=st.integers(1, 6),
    spatial=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    place=st.sampled_from(LAYOUTS),
)
@settings(deadline=None, max_examples=25)
def test_dirac_is_torchs(
    per_group: int, groups: int, into: int, spatial: list[int], place: tuple[Layout, tuple[int, int]]
) -> None:
    layout, axes = place
    torch_shape = (per_group * groups, into, *spatial)
    values = jaxinit.dirac(groups, layout=layout)(jax.random.key(0), flax_shape(torch_shape, axes))
    expected = torch.nn.init.dirac_(torch.full(torch_shape, 7.0), groups).numpy()
    np.testing.assert_array_equal(layout.to_torch(values), expected)


def test_every_stacked_weight_is_the_whole_identity() -> None:
    stacked = jaxinit.eye(layout=Layout(batch_axis=0))(jax.random.key(0), (4, 3, 5))
    np.testing.assert_array_equal(stacked, np.broadcast_to(np.eye(3, 5), (4, 3, 5)))
    layout = Layout(in_axis=1, out_axis=2, batch_axis=(0, -1))
    weights = layout.to_torch(jaxinit.dirac(2, layout=layout)(jax.random.key(0), (2, 3, 4, 5, 6)))
    expected = torch.nn.init.dirac_(torch.empty(4, 3, 5), 2).numpy()
    np.testing.assert_array_equal(weights, np.broadcast_to(expected, (2, 6, 4, 3, 5)))


def test_several_axes_are_merged_before_they_are_identified() -> None:
    layout = Layout(in_axis=0, out_axis=(1, 2))
    values = jaxinit.eye(layout=layout)(jax.random.key(0), (6, 2, 3))
    np.testing.assert_array_equal(np.asarray(values).reshape(6, 6), np.eye(6))


@pytest.mark.parametrize("groups", [1, 2])
def test_a_signal_passes_through_a_dirac_convolution(groups: int) -> None:
    signal = jax.random.normal(jax.random.key(1), (1, 9, 4))
    kernel = jaxinit.dirac(groups)(jax.random.key(0), (3, 4 // groups, 4))
    passed = jax.lax.conv_general_dilated(
        signal, kernel, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"), feature_group_count=groups
    )
    np.testing.assert_array_equal(passed, signal)
