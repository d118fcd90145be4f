"""How many inputs feed a unit, and how many it feeds: torch's fans, in any layout."""

import math
from collections.abc import Sequence

from jaxinit import arguments
from jaxinit.layouts import FLAX, Layout, require_layout


def calculate_fan_in_and_fan_out(shape: Sequence[int], layout: Layout = FLAX) -> tuple[int, int]:
    """torch's `(fan_in, fan_out)` of a weight of `shape`.

    In torch's array `(out, in, *spatial)`, whatever the module::

        fan_in  = in  * prod(spatial)
        fan_out = out * prod(spatial)

    Args:
        shape: the shape of your array.
        layout: which of its axes are torch's.

    Returns:
        The two fans; axes in `layout.batch_axis` count in neither.

    Raises:
        TypeError: `shape` is not a sequence of integers, or `layout` not a Layout.
        ValueError: `shape` lacks an axis that `layout` names (in torch: fewer than two dimensions).

    Example:
        >>> calculate_fan_in_and_fan_out((3, 3, 64, 128))
        (576, 1152)
        >>> calculate_fan_in_and_fan_out((128, 64, 3, 3), layout=jaxinit.TORCH)
        (576, 1152)

    Differs from torch in taking a shape and a layout instead of a tensor.
    """
    shape = arguments.dimensions(shape)
    require_layout(layout)
    _, out, into, spatial = layout.roles(len(shape))
    receptive_field = math.prod(shape[axis] for axis in spatial)
    fan_in = math.prod(shape[axis] for axis in into) * receptive_field
    fan_out = math.prod(shape[axis] for axis in out) * receptive_field
    return fan_in, fan_out
