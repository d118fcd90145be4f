"""The modules and arrays of an NNX model: a graph, where what is shared has several paths. Flax chooses one of them."""

import functools
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from jaxinit._models import matching, verbs
from jaxinit._models.flax import rules, weight_norm
from jaxinit._models.matching import Node, Path
from jaxinit._models.stacked_axes import places
from jaxinit._models.stacks import Stacks
from jaxinit._models.torch_order.steps import Method
from jaxinit._sampling.sharding import laid_out_like
from jaxinit._sampling.source import KeySource
from jaxinit._torch_generator.generator import TorchGenerator


def as_source(rngs: Any) -> verbs.ModelSource:
    """Return the source for `nnx.Rngs`, a key or a TorchGenerator."""
    value = rngs.params() if isinstance(rngs, nnx.Rngs) else rngs
    return verbs.as_source("rngs", value, "nnx.Rngs, a JAX key or a TorchGenerator")


class NNXModel(verbs.Model):
    """Represent a model, concrete or abstract. With torch's `names` it is known which of its stacks are lists in
    torch.
    """

    has_lists = True

    def __init__(self, model: Any, names: Iterable[str] | None = None) -> None:
        if not isinstance(model, nnx.Module):
            raise TypeError(f"`model` must be an nnx.Module, got {model!r}")
        self.model = model
        self._graphdef, state = nnx.split(model)
        flat = {as_path(path): (path, leaf) for path, leaf in nnx.to_flat_state(state)}
        graph = _graph(model)
        paths = {key: path for key, (path, _) in graph.items()}
        set_first = [path for path in map(paths.get, _variables(model, set())) if path in flat]
        self._flat = {path: flat[path] for path in dict.fromkeys([*set_first, *flat])}
        self._axes = _flat_state(nnx.get_partition_spec(state))
        self._kinds = {path: type(value) for path, value in graph.values() if isinstance(value, nnx.Variable)}
        specs = {
            path: _spec(leaf, self._axes[path])
            for path, (_, leaf) in self._flat.items()
            if issubclass(self._kinds.get(path, object), nnx.Param | nnx.BatchStat)
        }
        own_nodes = [*_with_linen(_nodes(model, paths))]
        # The model itself is taken for a stack only if it is one of Flax's layers, or if torch's names say so.
        is_whole = names is not None or any(rules.NNX.of(model))
        modules = [node.path for node in own_nodes if node.path or is_whole]
        built = {node.at(name): shape for node in own_nodes for name, shape in _built_shapes(node.module).items()}
        # Parameters and statistics can have different stacked axes.
        kinds: dict[type, list[Path]] = {}
        for path in specs:
            kinds.setdefault(self._kinds[path], []).append(path)
        super().__init__(own_nodes, Stacks(places(specs, built, modules, kinds.values(), names)), rules.NNX)

    @property
    def unordered(self) -> Mapping[Path, str]:
        why = "whose attributes Flax sorted when it was merged, cloned or returned by a transform"
        return dict.fromkeys(_sorted(nodes(self.model)), why)

    def shared(self) -> list[tuple[Path, Path]]:
        paths = {key: path for key, (path, _) in _graph(self.model).items()}
        found = ((paths[id(module)], path) for path, module in _occurrences(self.model, (), set()))
        return [(path, other) for path, other in found if path != other]

    def buffers(self) -> matching.Leaves:
        places = self.stacks.places
        return {
            path: _spec(leaf, self._axes[path])
            for path, (_, leaf) in self._flat.items()
            if path not in places and _is_buffer(self._kinds.get(path, object), leaf)
        }

    def values(self) -> Mapping[Path, Any]:
        known = (*self.stacks.places, *self.buffers())
        if known and isinstance(matching.array_in(self._flat[known[0]][1]), jax.ShapeDtypeStruct):
            raise TypeError(f"`model` must hold arrays, got an abstract {type(self.model).__name__}")
        return {path: matching.array_in(self._flat[path][1]) for path in known}

    def filtered(self, chosen: Any) -> list[Path]:
        try:
            is_chosen = nnx.filterlib.to_predicate(chosen)
        except ValueError as error:  # what Flax's own message for a TypeError ends in
            raise TypeError(f"not a filter: {chosen!r}") from error
        known = (*self.stacks.places, *self.buffers())
        return [path for path in known if is_chosen(*self._flat[path])]

    def with_lists(self, names: Iterable[str]) -> "NNXModel":
        return NNXModel(self.model, names) if self.stacks else self

    def update(self, arrays: Mapping[Path, jax.Array]) -> None:
        """Put arrays at their paths in the model, each laid out like the one that is there."""
        olds = {path: matching.array_in(self._flat[path][1]) for path in arrays}
        self.replace({path: laid_out_like(array, olds[path]) for path, array in arrays.items()})

    def replace(self, arrays: Mapping[Path, jax.Array]) -> None:
        """Put arrays at their paths in the model."""
        nnx.update(self.model, self._state(arrays))

    @property
    def with_method(self) -> list[Node]:
        """Return the modules with a method `reset_parameters`. In a Linen module, such a method is a rule."""
        nodes = (node for node in self.nodes if isinstance(node.module, nnx.Module))
        return [node for node in nodes if callable(getattr(node.module, "reset_parameters", None))]

    def methods(self, generator: TorchGenerator, by_flax: Collection[Path]) -> list[Method]:
        return [Method(node, {}, functools.partial(self._call, node, generator, by_flax)) for node in self.with_method]

    def _call(
        self, node: Node, generator: TorchGenerator, by_flax: Collection[Path], arrays: Mapping[Path, jax.Array]
    ) -> set[Path]:
        self.update({path: array for path, array in self.stacks.whole(arrays).items() if path not in by_flax})
        before = _arrays(node)
        node.module.reset_parameters(generator)
        return {path for path, array in _arrays(node).items() if before.get(path) is not array}

    def scales(self) -> Mapping[Path, tuple[Path, tuple[int, ...]]]:
        found = {}
        for node in self._weight_norms:
            module: Any = node.module
            for own in module.scales or {}:
                kernel = (*node.path, "layer_instance", *as_path(own))
                shape = weight_norm.with_axes(self.stacks.leaves[kernel].shape, module.feature_axes)
                found[*node.path, "scales", str(own)] = kernel, shape
        return found

    @property
    def _weight_norms(self) -> list[Node]:
        kinds = (node for node in self.nodes if isinstance(node.module, weight_norm.KINDS))
        return [node for node in kinds if isinstance(node.module, nnx.Module)]

    def finish(self, source: verbs.ModelSource, unmatched: Iterable[Path]) -> None:
        """Call the methods with keys, set the scales of weight norms, and warn of what has no rule."""
        for node in self.with_method if source.generator is None else []:
            key = KeySource(source.key).at((*node.path, "reset_parameters")).key
            node.module.reset_parameters(nnx.Rngs(key))
        normed = self._weight_norms
        for node in normed:
            if weight_norm.has_default_scales(node.module):
                weight_norm.set_scales(node.module)
        around = {node.path for node in self.with_method} | {(*node.path, "scales") for node in normed}
        self.rules.warn(path for path in unmatched if not any(path[:end] in around for end in range(len(path))))

    def _state(self, arrays: Mapping[Path, jax.Array]) -> Any:
        leaves = [(self._flat[path], array) for path, array in arrays.items()]
        return nnx.from_flat_state(
            [(path, leaf.replace(array) if isinstance(leaf, nnx.Variable) else array) for (path, leaf), array in leaves]
        )


def as_path(path: Iterable[Any]) -> Path:
    return tuple(map(str, path))


def _flat_state(state: Any) -> dict[Path, Any]:
    return {as_path(path): leaf for path, leaf in nnx.to_flat_state(state)}


def _arrays(node: Node) -> dict[Path, Any]:
    """Return the arrays that are now in a module."""
    state = nnx.state(node.module, nnx.Any(nnx.Param, nnx.BatchStat))
    return {(*node.path, *path): matching.array_in(leaf) for path, leaf in _flat_state(state).items()}


def nodes(model: nnx.Module) -> list[Node]:
    """Return every module once, inner modules first, and otherwise in the order in which attributes were set."""
    return _nodes(model, {key: path for key, (path, _) in _graph(model).items()})


def _nodes(model: nnx.Module, paths: Mapping[int, Path]) -> list[Node]:
    once = {id(module): module for _, module in _occurrences(model, (), set())}
    return [Node(paths[key], module) for key, module in once.items()]


def _with_linen(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield modules, and before each `ToNNX` the Linen module in it."""
    for node in nodes:
        if isinstance(node.module, nnx.bridge.ToNNX):
            yield Node(node.path, node.module.to_nnx__module)
        yield node


def dicts_in(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the dicts among the attributes of a module, however deep in lists, with their paths."""
    for name, child in _children(value):
        below = (*path, str(name))
        if isinstance(child, dict):
            yield below, child
        if isinstance(child, dict | list | tuple):
            yield from dicts_in(child, below)


def _sorted(nodes: Iterable[Node]) -> Iterator[Path]:
    """Yield the modules, and the dicts in them, that Flax merged, cloned or returned from a transform.

    Flax sorts all attributes of such a module. This changes the order of the attributes that
    Flax itself sets before a constructor runs. They show it even if more attributes were set later.
    """
    flax_names = list(vars(nnx.Module()))
    for node in nodes:
        names = list(vars(node.module))
        if names == sorted(names, key=str) or [name for name in names if name in flax_names] != flax_names:
            # A list has its own order.
            yield from () if isinstance(node.module, nnx.List) else (node.path,)
            yield from (path for path, _ in dicts_in(node.module, node.path))


def _graph(model: nnx.Module) -> dict[int, tuple[Path, Any]]:
    """Return the modules and variables with their paths, by their ids."""
    return {id(value): (as_path(path), value) for path, value in nnx.iter_graph(model)}


def _variables(value: Any, seen: set[int]) -> Iterator[int]:
    """Yield the id of every variable, in the order in which they were set."""
    if isinstance(value, nnx.Variable):
        yield id(value)
    elif isinstance(value, nnx.Pytree | dict | list | tuple) and id(value) not in seen:
        seen.add(id(value))
        for _, child in _children(value):
            yield from _variables(child, seen)


def _occurrences(value: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, nnx.Module]]:
    """Yield every module at every path that leads to it."""
    if not isinstance(value, nnx.Pytree | dict | list | tuple):
        return
    if id(value) not in seen:
        seen.add(id(value))
        for name, child in _children(value):
            yield from _occurrences(child, (*path, str(name)), seen)
    if isinstance(value, nnx.Module):
        yield path, value


def _children(value: Any) -> Iterable[tuple[Any, Any]]:
    if isinstance(value, list | tuple):
        return enumerate(value)
    return value.items() if isinstance(value, dict) else vars(value).items()


def _built_shapes(layer: Any) -> dict[str, tuple[int | None, ...]]:
    """Return the shapes of a layer's arrays as it was built, which a transform that stacks it does not change.

    None is a size that the layer does not keep.
    """
    match layer:
        case nnx.Einsum():
            return {"kernel": tuple(layer.kernel_shape), "bias": tuple(layer.bias_shape or ())}
        case nnx.LoRA():
            return {"lora_a": (layer.in_features, None), "lora_b": (None, layer.out_features)}
        case nnx.Embed():
            return {"embedding": (layer.num_embeddings, layer.features)}
        case nnx.Linear() | nnx.LinearGeneral() | nnx.Conv() | nnx.ConvTranspose():
            into, out = (
                size if isinstance(size, tuple) else (size,) for size in (layer.in_features, layer.out_features)
            )
            batch = tuple(getattr(layer, "batch_axis", {}).values())
            return {"kernel": getattr(layer, "kernel_shape", (*batch, *into, *out)), "bias": (*batch, *out)}
        case nnx.BatchNorm() | nnx.LayerNorm() | nnx.GroupNorm() | nnx.InstanceNorm() | nnx.RMSNorm():
            return dict.fromkeys(("scale", "bias", "mean", "var"), (getattr(layer, "num_features", None),))
        case nnx.PReLU():
            return {"negative_slope": ()}
    return {}


def _is_buffer(kind: type, variable: Any) -> bool:
    """Return whether a variable holds one array, and no state of a generator. WeightNorm has an array without one."""
    arrays = jax.tree.leaves(variable)
    is_array = len(arrays) == 1 and hasattr(arrays[0], "dtype")
    return is_array and not issubclass(kind, nnx.RngState) and not jnp.issubdtype(arrays[0].dtype, jax.dtypes.prng_key)


def _spec(variable: Any, axes: Any) -> jax.ShapeDtypeStruct:
    """Return the shape, dtype and sharding of an array. In a mesh, its metadata may ask for a sharding."""
    (asked, *_) = *jax.tree.leaves(axes), None
    return matching.spec_of(variable, jax.sharding.get_abstract_mesh(), asked)
