"""Whole models from torch's generator: as torch builds them, tensor by tensor, in torch's order."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxinit._initializers.base import Elementwise, Initializer
from jaxinit._models.correspondence import Parameter, with_layout
from jaxinit._models.matching import Draw, Match, Leaves, Path, dotted, laid_out
from jaxinit._models.state_dict import candidate_names
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit._torch_generator.source import require_no_trace
from jaxinit.layouts import TORCH, as_stored


def key_of(source: Any) -> Any:
    """The key itself, or, of a TorchGenerator, one for what is not torch's, such as dropout."""
    return jax.random.key(source.initial_seed() % 2**32) if isinstance(source, TorchGenerator) else source


def replay_init(
    found: Sequence[Match],
    leaves: Leaves,
    generator: TorchGenerator,
    order: Iterable[str] | None,
    sorted_nodes: Iterable[Path] = (),
) -> dict[Path, jax.Array]:
    """The arrays of all known layers, drawn as torch's constructors draw them.

    Of the modules at `sorted_nodes` nothing is known about the order of the layers in them.

    Raises:
        ValueError: a layer is stacked, `order` leaves one out, or there is none and Flax has sorted the attributes.
    """
    require_no_trace()
    if order is None and (lost := _disordered([one.node.path for one in found], sorted_nodes)):
        raise ValueError(f"`order` must give torch's names, got None for {lost}")
    arrays: dict[Path, np.ndarray] = {}
    for one in found if order is None else sorted_by(found, order):
        if one.layer is None:
            arrays |= {path: _array(init, generator, leaves[path], path) for path, init in one.draws}
        else:
            arrays |= _layer(one, leaves, generator)
    return laid_out(arrays, leaves)


def replay_apply(
    draws: Sequence[Draw],
    found: Sequence[Match],
    leaves: Leaves,
    generator: TorchGenerator,
    sorted_nodes: Iterable[Path] = (),
) -> dict[Path, jax.Array]:
    """The arrays at the paths, each drawn as an initializer of torch fills the tensor that it is in torch.

    Raises:
        ValueError: of the modules at `sorted_nodes` one has several that are drawn.
    """
    require_no_trace()
    owners = {one.node.at(name): one.node.path for one in found for name in one.inits}
    if lost := _disordered([owners.get(path, path[:-1]) for path, _ in draws], sorted_nodes):
        raise ValueError(f"`model` must have its attributes in the order in which they were set, got {lost}")
    parameters = {one.node.at(part.path): part for one in found if one.layer for part in one.layer.parameters}
    arrays = {path: _array(init, generator, leaves[path], path, parameters.get(path)) for path, init in draws}
    return laid_out(arrays, leaves)


def _disordered(drawn: Iterable[Path], sorted_nodes: Iterable[Path]) -> str:
    """The first module, in words, that holds several of those that are drawn in an order that is not torch's."""
    drawn = set(drawn)
    for node in sorted_nodes:
        if len({path[: len(node) + 1] for path in drawn if path[: len(node)] == node != path}) > 1:
            name = dotted(node) or "the model"
            return f"{name}, whose attributes Flax sorted when it was merged, cloned or returned by a transform"
    return ""


def sorted_by(found: Sequence[Match], order: Iterable[str]) -> list[Match]:
    """The layers in the order in which torch's names come; a name may be a layer's or a tensor's."""
    if isinstance(order, str) or not isinstance(order, Iterable):
        raise TypeError(f"`order` must be torch's names one by one, got {order!r}")
    places: dict[tuple[str, str | None], int] = {}
    for place, name in enumerate(order):
        if not isinstance(name, str):
            raise TypeError(f"`order` must be names, got {name!r}")
        for key in _keys(name):
            places.setdefault(key, place)

    def index(one: Match) -> int:
        named = [places[key] for key in _asked(one.node.path) if key in places]
        if not named:
            raise ValueError(f"`order` must name every layer, got none of {one.node}")
        return min(named)

    return sorted(found, key=index)


def _keys(name: str) -> Iterator[tuple[str, str | None]]:
    """What a name gives a place to: the modules around it, and the one layer of a recurrent module that it is of."""
    parts = name.split(".")
    for end in range(len(parts) + 1):
        yield ".".join(parts[:end]), ""
    if suffix := re.search(r"_l\d+(_reverse)?$", name):
        yield ".".join(parts[:-1]), suffix[0]
    yield name, None  # all layers of a recurrent module


def _asked(path: Path) -> Iterator[tuple[str, str | None]]:
    for prefix, suffix in candidate_names(path):
        yield prefix, suffix
        if suffix:
            yield prefix, None


def _layer(one: Match, leaves: Leaves, generator: TorchGenerator) -> dict[Path, np.ndarray]:
    """One layer's arrays, from_torch from torch's tensors."""
    layer, shapes = one.layer, {name: leaves[one.node.at(name)].shape for name in one.inits}
    assert layer is not None
    if any(part.layout is not None and part.layout.batch_axis != () for part in layer.parameters):
        raise ValueError(
            f"`rngs` must be JAX's for the stacked layers of {one.node}, got a TorchGenerator; torch stacks none"
        )
    dtypes = {block.tensor: leaves[one.node.at(p.path)].dtype for p in layer.parameters for block in p.sources}
    sizes, tensors = layer.tensor_shapes(shapes), {}
    for tensor in layer.draws:
        init = with_layout(tensor.init, TORCH)
        view = init.view(sizes[tensor.name])
        tensors[tensor.name] = np.asarray(init.draw(generator, view, dtypes[tensor.name]))
    return {one.node.at(name): array for name, array in layer.from_torch(tensors, shapes).items()}


def _array(
    init: Any, generator: TorchGenerator, leaf: jax.ShapeDtypeStruct, path: Path, part: Parameter | None = None
) -> np.ndarray:
    """One array; where its place in torch's tensor is known, its numbers come in that order."""
    if not isinstance(init, Initializer):
        raise TypeError(
            f"`fn` must return jaxinit's initializers for a TorchGenerator, got {init!r} for {dotted(path)}"
        )
    if part is None:
        return np.asarray(init.draw(generator, init.view(leaf.shape), leaf.dtype))
    shape = part.torch_shape(leaf.shape)
    if isinstance(init, Elementwise):
        array = generator.draw(init.distribution(leaf.shape), as_stored(shape), leaf.dtype)
    else:
        own = with_layout(init, TORCH)
        array = np.asarray(own.draw(generator, own.view(shape), leaf.dtype))
    return part.from_torch(array, leaf.shape)
