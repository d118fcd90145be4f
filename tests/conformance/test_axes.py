import numpy as np
import pytest

import jaxinit
from jaxinit_conformance.axes import layout_arguments, to_torch, torch_shape
from jaxinit_conformance.checks.cases import LAYOUTS


def test_torch_shapes_of_known_layouts() -> None:
    assert torch_shape((3, 5, 24, 40), "xyio") == (40, 24, 3, 5)
    assert torch_shape((3, 5, 24, 40), "xyoi") == (24, 40, 3, 5)
    assert torch_shape((48, 6, 20), "ioo") == (120, 48)
    assert torch_shape((4, 48, 80), "bio") == (80, 48)


@pytest.mark.parametrize(("shape", "axes"), LAYOUTS)
def test_two_ways_of_saying_where_axes_lie_agree(shape: tuple[int, ...], axes: str) -> None:
    array = np.arange(np.prod(shape)).reshape(shape)
    layout = jaxinit.Layout(**layout_arguments(axes))
    theirs = layout.to_torch(array)
    assert (to_torch(array, axes) == theirs.reshape(-1, *torch_shape(shape, axes))).all()


def test_leading_axes_stack() -> None:
    stacked = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    assert (to_torch(stacked, "bio")[4] == stacked[1, 1].T).all()
