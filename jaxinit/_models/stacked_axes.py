"""Find which axes of a model's arrays stack layers, from the sizes with which the layers were built."""

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence

from jaxinit._models.loading.names import stacks_in_names
from jaxinit._models.matching import Leaves, Path, dotted
from jaxinit._models.stacks import Place

Axes = tuple[int, ...]


def places(
    specs: Leaves,
    built: Mapping[Path, tuple[int | None, ...]],
    modules: Sequence[Path],
    kinds: Collection[Collection[Path]],
    names: Iterable[str] | None,
    *,
    is_in_front: bool = False,
) -> dict[Path, Place]:
    """Return the places of all arrays.

    Args:
        specs: the arrays by path.
        built: the shapes of the arrays of layers without stacked axes. None is a size unknown.
        modules: the paths of modules that may be stacks, inner ones first.
        kinds: the paths of arrays that are stacked alike, such as all parameters.
        names: torch's names, which show what is a list there, or None.
        is_in_front: whether the first axes stack layers where the sizes leave a choice.
    """
    shapes = {path: spec.shape for path, spec in specs.items()}
    # A layer whose array was replaced by one of fewer axes is not stacked.
    options: dict[Path, Sequence[Axes]] = {
        path: choices(shapes[path], built[path]) if len(shapes[path]) > len(built[path]) else [()]
        for path in shapes
        if path in built
    }
    stacked = _agreed_by_kind(shapes, options, kinds, is_in_front)
    sizes = {path: tuple(shapes[path][axis] for axis in stacked.get(path, ())) for path in options}
    lists = outermost(modules, sizes) if names is None else stacks_in_names(modules, {**shapes, **sizes}, names)
    around = {path: module for path in shapes for module in lists if path[: len(module)] == module}
    for path in [path for path in around if path not in options]:
        found: list[Axes] = [(axis,) for axis, size in enumerate(shapes[path]) if size == lists[around[path]]]
        options[path] = found or [()]
    stacked = _agreed_by_kind(shapes, options, kinds, is_in_front)
    return {path: Place(spec, stacked.get(path, ()), len(around.get(path, ()))) for path, spec in specs.items()}


def _agreed_by_kind(
    shapes: Mapping[Path, tuple[int, ...]],
    options: Mapping[Path, Sequence[Axes]],
    kinds: Collection[Collection[Path]],
    is_in_front: bool,
) -> dict[Path, Axes]:
    """Return the stacked axes of each array that has some."""
    by_kind = ({path: own for path, own in options.items() if own != [()] and path in kind} for kind in kinds)
    return {path: axes for own in by_kind for path, axes in agreed(shapes, own, is_in_front).items()}


def choices(stack: Sequence[int], layer: Sequence[int | None]) -> list[Axes]:
    """Return all axes of an array of shape `stack` that can hold layers of shape `layer`. None is a size unknown.

    Example:
        >>> from jaxinit._models.stacked_axes import choices
        >>> choices((12, 64, 256), (64, 256)), choices((4, 4, 8), (4, 8)), choices((64,), (32,)), choices((64,), (64,))
        ([(0,)], [(0,), (1,)], [], [()])
    """

    def fits(axes: Axes) -> bool:
        own = [size for axis, size in enumerate(stack) if axis not in axes]
        return all(size in (None, found) for size, found in zip(layer, own, strict=True))

    count = len(stack) - len(layer)
    return [axes for axes in itertools.combinations(range(len(stack)), count) if fits(axes)] if count >= 0 else []


def agreed(
    shapes: Mapping[Path, tuple[int, ...]], options: Mapping[Path, Sequence[Axes]], is_in_front: bool = False
) -> dict[Path, Axes]:
    """Return the stacked axes of each array, among its options.

    One transform stacks all arrays of a module along the same axis, counted from the front or from
    the back. So where the sizes of an array leave a choice, the arrays beside it decide, or else `is_in_front`.

    Raises:
        ValueError: they leave a choice too, or disagree.
    """
    keys = {path: {axes: _keys(shapes[path], axes) for axes in own} for path, own in options.items()}

    def settle(path: Path) -> Axes:
        for end in reversed(range(len(path))):
            beside = [own.values() for other, own in keys.items() if other[:end] == path[:end]]
            common = set.intersection(*(set().union(*own) for own in beside))
            found = [axes for axes, own in keys[path].items() if own & common]
            if len(found) == 1:
                return found[0]
        front = next((axes for axes in options[path] if axes == tuple(range(len(axes)))), None)
        if is_in_front and front is not None:
            return front
        raise ValueError(
            f"cannot tell which axis of {dotted(path)} stacks layers, got shape {shapes[path]}, "
            f"where axes {list(options[path])} are possible. Use another number of layers, or a list of layers"
        )

    return {path: settle(path) for path in sorted(options, key=lambda path: len(options[path]))}


def outermost(modules: Iterable[Path], sizes: Mapping[Path, Axes]) -> dict[Path, int]:
    """Return the outermost modules in a model whose layers are all stacked alike, and how often.

    `sizes` are those of the stacked axes of the arrays in layers.
    """
    stacks: dict[Path, int] = {}
    for module in sorted(modules, key=len):
        below = {size[:1] for path, size in sizes.items() if path[: len(module)] == module}
        if len(below) == 1 and () not in below and not any(module[: len(outer)] == outer for outer in stacks):
            ((stacks[module],),) = below
    return stacks


def _keys(shape: tuple[int, ...], axes: Axes) -> set[tuple[Axes, Axes]]:
    """Return the sizes of the axes with the axes counted from the front, and counted from the back."""
    sizes = tuple(shape[axis] for axis in axes)
    return {(sizes, axes), (sizes, tuple(axis - len(shape) for axis in axes))}
