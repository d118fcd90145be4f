"""Draw whole models from torch's generator as torch builds them: tensor by tensor, in the order of the constructors."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxinit._initializers.base import Elementwise, Initializer
from jaxinit._models.correspondence import Parameter, with_layout
from jaxinit._models.loading.names import candidate_names
from jaxinit._models.matching import Draw, LayerMatch, Leaves, Match, Path, dotted, on_device
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit._torch_generator.source import require_no_trace
from jaxinit.layouts import TORCH, as_stored


def replay_init(
    matches: Sequence[Match],
    leaves: Leaves,
    generator: TorchGenerator,
    order: Iterable[str] | None,
    sorted_nodes: Iterable[Path] = (),
) -> dict[Path, jax.Array]:
    """Draw the arrays of all matches as torch's constructors draw them, in `order` or else in their own order.

    The order of the layers in `sorted_nodes` is not the one in which they were set.

    Raises:
        ValueError: `order` leaves a layer out, or there is none and Flax has sorted the attributes.
    """
    require_no_trace()
    if order is None and (lost := _sorted_by_flax([match.node.path for match in matches], sorted_nodes)):
        raise ValueError(f"`order` must give torch's names, got None for {lost}")
    arrays: dict[Path, np.ndarray] = {}
    for match in matches if order is None else in_order(matches, order):
        if isinstance(match, LayerMatch):
            arrays |= _layer(match, leaves, generator)
        else:
            arrays |= {path: _array(init, generator, leaves[path], path) for path, init in match.draws}
    return on_device(arrays, leaves)


def replay_apply(
    draws: Sequence[Draw],
    matches: Sequence[Match],
    leaves: Leaves,
    generator: TorchGenerator,
    sorted_nodes: Iterable[Path] = (),
) -> dict[Path, jax.Array]:
    """Draw each array in the element order of its torch tensor, array after array.

    Raises:
        ValueError: one of the modules at `sorted_nodes` has several layers that are drawn.
    """
    require_no_trace()
    layers = {path: match.node.path for match in matches for path, _ in match.draws}
    if lost := _sorted_by_flax([layers.get(path, path[:-1]) for path, _ in draws], sorted_nodes):
        raise ValueError(f"`model` must have its attributes in the order in which they were set, got {lost}")
    parameters = {
        match.node.at(parameter.path): parameter
        for match in matches
        if isinstance(match, LayerMatch)
        for parameter in match.layer.parameters
    }
    arrays = {path: _array(init, generator, leaves[path], path, parameters.get(path)) for path, init in draws}
    return on_device(arrays, leaves)


def _sorted_by_flax(drawn: Iterable[Path], sorted_nodes: Iterable[Path]) -> str:
    """Return, in words, the first of `sorted_nodes` with several layers that are drawn, or an empty text."""
    drawn = set(drawn)
    for node in sorted_nodes:
        if len({path[: len(node) + 1] for path in drawn if path[: len(node)] == node != path}) > 1:
            name = dotted(node) or "the model"
            return f"{name}, whose attributes Flax sorted when it was merged, cloned or returned by a transform"
    return ""


def in_order(matches: Sequence[Match], order: Iterable[str]) -> list[Match]:
    """Return the matches in the order in which torch's names come, of layers or of tensors."""
    if isinstance(order, str) or not isinstance(order, Iterable):
        raise TypeError(f"`order` must be torch's names one by one, got {order!r}")
    places: dict[tuple[str, str | None], int] = {}
    for place, name in enumerate(order):
        if not isinstance(name, str):
            raise TypeError(f"`order` must be names, got {name!r}")
        for key in _keys_of_name(name):
            places.setdefault(key, place)

    def index(match: Match) -> int:
        named = [places[key] for key in _keys_of_layer(match.node.path) if key in places]
        if not named:
            raise ValueError(f"`order` must name every layer, got no name of {match.node}")
        return min(named)

    return sorted(matches, key=index)


# A place is looked up by a pair: the name of a module, and the suffix of its tensors' names. Only torch's
# recurrent modules have suffixes, such as `_l0`, as they hold several layers. None stands for all of them.
def _keys_of_name(name: str) -> Iterator[tuple[str, str | None]]:
    """Yield the modules around a name of torch's, and the layer of a recurrent module that the name belongs to."""
    parts = name.split(".")
    for end in range(len(parts) + 1):
        yield ".".join(parts[:end]), ""
    if suffix := re.search(r"_l\d+(_reverse)?$", name):
        yield ".".join(parts[:-1]), suffix[0]
    yield name, None


def _keys_of_layer(path: Path) -> Iterator[tuple[str, str | None]]:
    for prefix, suffix in candidate_names(path):
        yield prefix, suffix
        if suffix:
            yield prefix, None


def _layer(match: LayerMatch, leaves: Leaves, generator: TorchGenerator) -> dict[Path, np.ndarray]:
    """Draw torch's tensors of one layer, and return the arrays that are made of them."""
    layer, shapes = match.layer, match.shapes(leaves)
    dtypes = {
        block.tensor: leaves[match.node.at(parameter.path)].dtype
        for parameter in layer.parameters
        for block in parameter.sources
    }
    sizes, tensors = layer.tensor_shapes(shapes), {}
    for tensor in layer.draws:
        init = with_layout(tensor.init, TORCH)
        tensors[tensor.name] = _drawn(init, generator, sizes[tensor.name], dtypes[tensor.name])
    return {match.node.at(name): array for name, array in layer.from_torch(tensors, shapes).items()}


def _array(
    init: Any, generator: TorchGenerator, leaf: jax.ShapeDtypeStruct, path: Path, parameter: Parameter | None = None
) -> np.ndarray:
    """Draw one array, in the element order of its torch tensor if it belongs to a layer of torch's."""
    if not isinstance(init, Initializer):
        raise TypeError(
            f"`fn` must return jaxinit's initializers for a TorchGenerator, got {init!r} for {dotted(path)}"
        )
    if parameter is None:
        return _drawn(init, generator, leaf.shape, leaf.dtype)
    shape = parameter.torch_shape(leaf.shape)
    if isinstance(init, Elementwise):
        # The layout that the user gave says what the fans are. The layer says where torch has each entry.
        array = generator.draw(init.distribution(leaf.shape), as_stored(shape), leaf.dtype)
    else:
        array = _drawn(with_layout(init, TORCH), generator, shape, leaf.dtype)
    return parameter.from_torch(array, leaf.shape)


def _drawn(init: Initializer, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.asarray(init.draw(generator, init.view(shape), dtype))
