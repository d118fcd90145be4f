"""Which weights have other axes in Flax than in torch."""

from typing import Any, NamedTuple

from jaxinit._recipes.parameter import Entry
from jaxinit.layouts import FLAX, FLAX_CONV_TRANSPOSE, Layout


class Relayout(NamedTuple):
    """Represent Flax's layout of a weight, and whether its spatial axes run in the opposite direction."""

    layout: Layout
    is_flipped: bool = False


def relayout(entry: Entry, rank: int) -> Relayout | None:
    """Return what is done to torch's array of an entry for Flax, or None if the two have the same axes."""
    if rank < 2 or entry.name.rpartition(".")[2] != "weight":
        return None
    if entry.layer.startswith("ConvTranspose"):
        return Relayout(FLAX_CONV_TRANSPOSE, is_flipped=True)
    return Relayout(FLAX) if entry.layer == "Linear" or entry.layer.startswith("Conv") else None


def with_flax_axes(array: Any, to: Relayout) -> Any:
    """Return torch's array with the axes of Flax."""
    xp = array.__array_namespace__()
    first, second, *spatial = array.shape
    ends = (first, second) if to.layout == FLAX_CONV_TRANSPOSE else (second, first)
    flipped = xp.flip(array, axis=tuple(range(2, array.ndim))) if to.is_flipped else array
    return to.layout.from_torch(flipped, (*spatial, *ends))
