"""The layout of a transposed convolution with groups, whose first axis holds both groups and the outputs of each.

Equinox has `(groups * out, in, *spatial)` and torch `(groups * in, out, *spatial)`, with the sizes of one group::

    yours[g * out + o, i] = torchs[g * in + i, o]

No choice of axes turns one into the other. So the first axis is split before.
"""

import dataclasses
from collections.abc import Sequence

from jaxinit.layouts import Array, Layout, View

_SPLIT = Layout(in_axis=1, out_axis=(0, 2))


@dataclasses.dataclass(frozen=True, repr=False)
class InGroups(Layout):
    """Represent a layout for `(groups * out, in, *spatial)`.

    Example:
        >>> from jaxinit._models.equinox.groups import InGroups
        >>> InGroups(groups=3).torch_shape((6, 4, 5))
        (12, 2, 5)
    """

    groups: int = 1

    def __post_init__(self) -> None:
        pass  # the axes are those of `_SPLIT`

    def __repr__(self) -> str:
        return f"the layout of a transposed convolution with {self.groups} groups"

    def view(self, shape: tuple[int, ...]) -> View:
        """Return `shape`, seen in this layout."""
        inner = _SPLIT.view((self.groups, shape[0] // self.groups, *shape[1:]))
        return _View(self, shape, inner.roles, inner.shape)


@dataclasses.dataclass(frozen=True)
class _View(View):
    split: tuple[int, ...]

    def to_torch(self, array: Array) -> Array:
        return super().to_torch(array.reshape(self.split))

    def from_torch(self, array: Array) -> Array:
        return super().from_torch(array).reshape(self.shape)

    def _sizes(self, axes: Sequence[int]) -> tuple[int, ...]:
        return tuple([self.split[axis] for axis in axes])
