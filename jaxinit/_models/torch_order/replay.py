"""Draw whole models from torch's generator as torch builds them: tensor by tensor, in the order of the constructors."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxinit._initializers.base import Elementwise, Initializer
from jaxinit._initializers.scaled import Scaled
from jaxinit._models.correspondence import Parameter, with_layout
from jaxinit._models.matching import Draw, Init, LayerMatch, Leaves, Match, Path, dotted, on_device
from jaxinit._models.torch_order.steps import Method, in_torch_order, lost_order
from jaxinit._torch_generator.generator import TorchGenerator
from jaxinit._torch_generator.source import require_no_trace
from jaxinit.composed import concatenated, with_zero_row
from jaxinit.layouts import TORCH, as_stored


def replay_init(
    matches: Sequence[Match],
    leaves: Leaves,
    generator: TorchGenerator,
    order: Iterable[str] | None,
    unordered: Mapping[Path, str],
) -> dict[Path, jax.Array]:
    """Draw the arrays of all matches as torch's constructors draw them, in `order` or else in their own order.

    A method gets the arrays that were drawn before. The arrays that are drawn later are returned.

    Raises:
        TypeError: an initializer is not one of jaxinit's.
        ValueError: `order` leaves a layer out or has a name that fits nothing, or there is none and nothing shows
            the order.
    """
    require_no_trace()
    steps, parameters = in_torch_order(matches, leaves, order, unordered), parameters_of(matches)
    for step in steps:
        for path, init in step.draws:
            _require_own(init, path)
    drawn: dict[Path, np.ndarray] = {}
    layer, state = None, generator.get_state()
    for step in steps:
        if isinstance(step, Method):
            changed = step.call(on_device(drawn, leaves))
            if layer is not None and layer.node.path == step.node.path and changed.issuperset(layer.paths):
                # Such a method takes the place of the layer's own draws, as `reset_parameters` does in torch.
                generator.set_state(state)
                step.call({})
            drawn, layer = {}, None
            continue
        layer, state = step if isinstance(step, LayerMatch) else None, generator.get_state()
        drawn |= _drawn_by(step, leaves, generator, parameters)
    return on_device(drawn, leaves)


def _require_own(init: Any, path: Path) -> None:
    if not isinstance(init, Initializer):
        raise TypeError(f"a TorchGenerator needs an initializer of jaxinit for {dotted(path)}, got {init!r}")


def parameters_of(matches: Iterable[Match]) -> dict[Path, Parameter]:
    """Return how torch has each parameter of a layer."""
    return {
        match.node.at(parameter.path): parameter
        for match in matches
        if isinstance(match, LayerMatch)
        for parameter in match.layer.parameters
    }


def _drawn_by(
    step: Match, leaves: Leaves, generator: TorchGenerator, parameters: Mapping[Path, Parameter]
) -> dict[Path, np.ndarray]:
    """Draw the arrays of a step. torch draws a layer whole, and then what the layer was given."""
    arrays, inits = {}, step.inits
    if isinstance(step, LayerMatch):
        arrays = {} if step.is_replaced else _layer(step, leaves, generator)
        inits = step.given
    draws = [(step.node.at(name), init) for name, init in inits.items()]
    return arrays | {path: _array(init, generator, leaves[path], parameters.get(path)) for path, init in draws}


def replay_apply(
    draws: Sequence[Draw],
    matches: Sequence[Match],
    leaves: Leaves,
    generator: TorchGenerator,
    unordered: Mapping[Path, str],
) -> dict[Path, jax.Array]:
    """Draw each array in the element order of its torch tensor, array after array.

    Raises:
        TypeError: an initializer is not one of jaxinit's.
        ValueError: one of the modules at `unordered` has several layers that are drawn.
    """
    require_no_trace()
    layers = {path: match.node.path for match in matches for path, _ in match.draws}
    if lost := lost_order([layers.get(path, path[:-1]) for path, _ in draws], unordered):
        raise ValueError(f"`model` must have its attributes in the order in which they were set, got {lost}")
    for path, init in draws:
        _require_own(init, path)
    parameters = parameters_of(matches)
    arrays = {path: _array(init, generator, leaves[path], parameters.get(path)) for path, init in draws}
    return on_device(arrays, leaves)


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
    init: Init, generator: TorchGenerator, leaf: jax.ShapeDtypeStruct, parameter: Parameter | None
) -> np.ndarray:
    """Draw one array, in the element order of its torch tensor if it belongs to a layer of torch's."""
    assert isinstance(init, Initializer)
    if parameter is None:
        return _drawn(init, generator, leaf.shape, leaf.dtype)
    if isinstance(init, Scaled) and isinstance(init.init, concatenated | with_zero_row):
        array = _array(init.init, generator, leaf, parameter)
        return np.asarray(array * (init.factor / init.divisor), leaf.dtype)
    # The axis and the row are those of the user's array, which torch may have transposed.
    if isinstance(init, concatenated):
        part = jax.ShapeDtypeStruct(init.part(leaf.shape), leaf.dtype)
        return np.concatenate([_array(each, generator, part, parameter) for each in init.inits], init.axis)
    if isinstance(init, with_zero_row):
        array = np.array(_array(init.init, generator, leaf, parameter))
        array[init.index(leaf.shape)] = 0
        return array
    shape = parameter.torch_shape(leaf.shape)
    if isinstance(init, Elementwise):
        # The layout that the user gave says what the fans are. The layer says where torch has each entry.
        drawn = init.draw_from(init.distribution(leaf.shape), generator, as_stored(shape), leaf.dtype)
        array = np.asarray(drawn)
    else:
        array = _drawn(with_layout(init, TORCH), generator, shape, leaf.dtype)
    return parameter.from_torch(array, leaf.shape)


def _drawn(init: Initializer, generator: TorchGenerator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    return np.asarray(init.draw(generator, init.view(shape), dtype))
