"""Draws the pictures of docs/guides/layouts.md: your axes above, torch's below, one line an axis.

Which axis plays which part is asked of the `Layout` itself, so a picture cannot disagree
with the code.
"""

import sys
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from jaxinit import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout

# The name of the picture, what the array is, its axes, its layout.
ARRAYS = [
    ("dense", "Flax Dense", ("in", "out"), FLAX),
    ("conv", "Flax Conv", ("k₁", "k₂", "in/groups", "out"), FLAX),
    ("conv_transpose", "Flax ConvTranspose", ("k₁", "k₂", "in", "out"), FLAX_CONV_TRANSPOSE),
    ("transposed_kernel", "Flax ConvTranspose, transpose_kernel=True", ("k₁", "k₂", "out", "in"), FLAX),
    ("torch", "Equinox, torch itself", ("out", "in", "k₁", "k₂"), TORCH),
    ("experts", "experts", ("experts", "in", "out"), Layout(batch_axis=0)),
    ("heads", "attention heads", ("embed", "heads", "head_dim"), Layout(in_axis=0, out_axis=(1, 2))),
]
COLOURS = {"batch": "#8a8f98", "out": "#d9822b", "into": "#2b7bba", "spatial": "#4c9f70"}
PARTS = {"batch": "stacked", "out": "axis 0", "into": "axis 1", "spatial": "spatial"}
STEP, BOX, HEIGHT = 1.7, 1.5, 0.6
YOURS, TORCHS = 2.0, 0.5


def box(axes: Axes, slot: float, bottom: float, text: str, part: str, note: str) -> float:
    """One axis of an array. The middle of the box."""
    left = slot * STEP
    style = "round,pad=0,rounding_size=0.1"
    axes.add_patch(FancyBboxPatch((left, bottom), BOX, HEIGHT, boxstyle=style, color=COLOURS[part]))
    middle = left + BOX / 2
    axes.text(middle, bottom + HEIGHT / 2, text, ha="center", va="center", color="white", fontsize=11)
    axes.text(middle, bottom - 0.22, note, ha="center", va="center", color="#555555", fontsize=8)
    return middle


def torch_groups(layout: Layout, rank: int) -> list[tuple[str, tuple[int, ...]]]:
    """The axes of torch's array, left to right: the part, and which of your axes it is made of."""
    roles = layout.view((1,) * rank).roles
    return [
        *(("batch", (axis,)) for axis in roles.batch),
        ("out", roles.out),
        ("into", roles.into),
        *(("spatial", (axis,)) for axis in roles.spatial),
    ]


def draw(what: str, names: tuple[str, ...], layout: Layout) -> Figure:
    """Your array and torch's, an axis joined to the one it becomes."""
    groups = torch_groups(layout, len(names))
    part_of = {axis: part for part, members in groups for axis in members}
    figure = Figure(figsize=(1.4 + 1.25 * len(names), 2.6))
    axes = figure.add_axes((0, 0, 1, 1))
    middles = [box(axes, axis, YOURS, name, part_of[axis], f"[{axis}]") for axis, name in enumerate(names)]
    shift = (len(names) - len(groups)) / 2
    for slot, (part, members) in enumerate(groups):
        text = "·".join(names[axis] for axis in members)
        middle = box(axes, slot + shift, TORCHS, text, part, PARTS[part])
        for axis in members:
            axes.plot([middles[axis], middle], [YOURS - 0.4, TORCHS + HEIGHT + 0.05], color=COLOURS[part], lw=2)
    axes.text(0, YOURS + HEIGHT + 0.25, f"{what}: your array", fontsize=10, color="#222222", va="center")
    axes.text(0, -0.05, f"torch's array, by {layout!r}".replace("jaxinit.", ""), fontsize=9, color="#222222")
    axes.set(xlim=(-0.1, len(names) * STEP), ylim=(-0.15, 3.05))
    axes.axis("off")
    return figure


def draw_all(folder: Path) -> None:
    """Writes one SVG for every array of `ARRAYS`."""
    folder.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": "jaxinit", "font.family": "DejaVu Sans"}):
        for name, what, names, layout in ARRAYS:
            draw(what, names, layout).savefig(folder / f"{name}.svg", metadata={"Date": None}, facecolor="white")


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
