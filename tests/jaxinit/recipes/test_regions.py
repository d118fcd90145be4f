"""A region is the view that torch makes: the same entries to read, and to write."""

import numpy as np
import pytest
import torch

from jaxinit._recipes.regions import Region

VIEWS = {
    "whole": lambda t: t,
    "row": lambda t: t[2],
    "rows": lambda t: t[1:3],
    "column": lambda t: t[:, 1],
    "corner": lambda t: t[1:3, 2:, :2],
    "transposed": lambda t: t.permute(2, 0, 1),
    "row of transposed": lambda t: t.transpose(0, 2)[1],
    "split": lambda t: t.view(4, 3, 2, 5)[:, :, 1],
    "merged": lambda t: t.view(24, 5),
    "flat": lambda t: t.view(-1),
    "merged part": lambda t: t[1:3].flatten(0, 1),
    "new axes": lambda t: t[None, 3, :, None],
    "entry": lambda t: t[1, 2, 3],
    "every second": lambda t: t[::2],
}


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_read_and_written_as_in_torch(name: str, rng: np.random.Generator) -> None:
    values = rng.normal(size=(4, 6, 5))
    tensor = torch.tensor(values)
    view = VIEWS[name](tensor)
    region = Region.of_view((4, 6, 5), tuple(view.shape), tuple(view.stride()), int(view.storage_offset()))
    assert region is not None
    np.testing.assert_array_equal(region.read(values), view.numpy())
    new = rng.normal(size=tuple(view.shape))
    written = region.write(values, new)
    view.copy_(torch.tensor(new))
    np.testing.assert_array_equal(written, tensor.numpy())
    if region.is_whole:
        np.testing.assert_array_equal(region.inverse((4, 6, 5)).read(new), tensor.numpy())


def test_an_expanded_view_is_read() -> None:
    values = np.arange(3.0)
    view = torch.tensor(values).expand(2, 3)
    region = Region.of_view((3,), (2, 3), tuple(view.stride()), 0)
    assert region is not None
    np.testing.assert_array_equal(region.read(values), view.numpy())


@pytest.mark.parametrize(
    ("size", "strides", "offset"),
    [((3,), (1,), 3), ((2, 2), (1, 1), 0), ((2,), (3,), 0)],
    ids=["wraps", "overlaps", "diagonal"],
)
def test_what_is_no_slice_has_no_region(size: tuple[int, ...], strides: tuple[int, ...], offset: int) -> None:
    assert Region.of_view((4, 5), size, strides, offset) is None


def test_a_region_prints_as_an_index() -> None:
    region = Region.of_view((7, 5), (5,), (1,), 15)
    assert str(region) == "[3:4]"
