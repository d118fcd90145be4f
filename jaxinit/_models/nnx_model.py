"""The modules and arrays of an NNX model, which is a graph: by their paths, shared ones once."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeVar

import jax
from flax import nnx

from jaxinit import _arguments
from jaxinit._models import matching
from jaxinit._models.matching import Node, Path

Model = TypeVar("Model", bound=nnx.Module)


class View:
    """The modules and arrays of a model by their paths: Flax's own, so that what is shared has one."""

    def __init__(self, model: nnx.Module) -> None:
        self.model = model
        self.nodes = nodes(model)
        self._graphdef, state = nnx.split(model)
        self._flat = {_named(path): (path, leaf) for path, leaf in nnx.to_flat_state(state)}
        specs = {_named(path): spec for path, spec in nnx.to_flat_state(nnx.get_partition_spec(state))}
        kinds = {_named(path): type(value) for path, value in nnx.iter_graph(model) if isinstance(value, nnx.Variable)}
        self.leaves = {
            path: _leaf(leaf, specs[path])
            for path, (_, leaf) in self._flat.items()
            if issubclass(kinds.get(path, object), nnx.Param | nnx.BatchStat)
        }

    @property
    def sorted(self) -> list[Path]:
        """The modules, and dicts in them, whose order is not the one in which they were set."""
        return list(_sorted(self.nodes))

    def update(self, arrays: Mapping[Path, jax.Array]) -> None:
        """Puts arrays at their paths, into the model."""
        nnx.update(self.model, self._state(arrays))

    def filled(self, arrays: Mapping[Path, jax.Array], build: Callable[[], Any]) -> Any:
        """A model with the arrays at their paths, and the rest as `build` makes it."""
        rest = [path for path in self._flat if path not in arrays]

        def remaining() -> list[jax.Array]:
            flat = {_named(path): leaf for path, leaf in nnx.to_flat_state(nnx.state(build()))}
            return [_array(flat[path]) for path in rest]

        placed = [self.leaves[path].sharding if path in self.leaves else None for path in rest]
        # Compiled, so that what is not asked for is not drawn.
        others = jax.jit(remaining, out_shardings=placed)() if rest else []
        return nnx.merge(self._graphdef, self._state({**arrays, **dict(zip(rest, others, strict=True))}))

    def _state(self, arrays: Mapping[Path, jax.Array]) -> Any:
        leaves = [(self._flat[path], array) for path, array in arrays.items()]
        return nnx.from_flat_state(
            [(path, leaf.replace(array) if isinstance(leaf, nnx.Variable) else array) for (path, leaf), array in leaves]
        )


class _Stream(nnx.RngStream):
    """Flax's, but for how it counts: with a new variable.

    Setting the old one asks tracers for a sharding; JAX answers with an error whose text takes
    a search through all that was traced, so that tracing a model took time by its size squared.
    """

    def __call__(self) -> jax.Array:
        key = jax.random.fold_in(self.key[...], self.count[...])
        self.count = nnx.RngCount(self.count[...] + 1, tag=self.tag)
        return key


def build(constructor: Callable[[nnx.Rngs], Model], key: jax.Array) -> Model:
    """`constructor(nnx.Rngs(key))`, for a trace."""
    rngs = nnx.Rngs(key)
    rngs.default.__class__ = _Stream
    model = constructor(rngs)
    for _, value in nnx.iter_graph(model):
        if isinstance(value, _Stream):
            value.__class__ = nnx.RngStream  # type: ignore[assignment]  # Flax's own again
    return model


def _named(path: Iterable[Any]) -> Path:
    return tuple(map(str, path))


def nodes(model: nnx.Module) -> list[Node]:
    """Every module once, inner ones first, and otherwise in the order in which attributes were set."""
    paths = _paths(model)
    once = {id(module): module for _, module in _occurrences(model, (), set())}
    return [Node(paths[key], module) for key, module in once.items()]


def attributes(model: nnx.Module) -> dict[Path, list[str]]:
    """The names of each module's attributes, and of what is in its dicts, in the order in which they were set."""
    return {path: list(own) for path, own in _named_parts(model)}


def reorder(model: nnx.Module, names: Mapping[Path, list[str]]) -> None:
    """Puts them back into that order."""
    for path, own in _named_parts(model):
        for name in names[path]:
            own[name] = own.pop(name)


def _named_parts(model: nnx.Module) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The attributes of each module, and the dicts in it."""
    for node in nodes(model):
        yield node.path, vars(node.module)
        yield from _dicts(node.module, node.path)


def _dicts(value: Any, path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    for name, child in _children(value):
        below = (*path, str(name))
        if isinstance(child, dict):
            yield below, child
        if isinstance(child, dict | list | tuple):
            yield from _dicts(child, below)


def require_visible(model: nnx.Module) -> None:
    """Refuses a model, in a trace or abstract, that keeps an array where Flax does not look: a plain attribute."""
    seen = {_named(path) for path, _ in nnx.to_flat_state(nnx.state(model))}
    for node in nodes(model):
        for name, value in vars(node.module).items():
            is_array = _arguments.is_traced(value) or isinstance(value, jax.ShapeDtypeStruct)
            if is_array and (*node.path, name) not in seen:
                raise ValueError(f"`build` must keep arrays in an nnx.Variable, got a plain one in {name} of {node}")


def _sorted(nodes: Iterable[Node]) -> Iterator[Path]:
    """The modules that Flax put together anew, merged, cloned or returned by a transform, and dicts in them.

    It sorts what it puts together, but for lists. What was set later comes behind.
    """
    for node in nodes:
        own = [name for name in vars(node.module) if str(name).startswith("_pytree__")]
        if own == sorted(own):  # in a module that was built they are not
            yield from () if isinstance(node.module, nnx.List) else (node.path,)
            yield from (path for path, _ in _dicts(node.module, node.path))


def shared(model: nnx.Module) -> list[tuple[Path, Path]]:
    """For each module that has several paths, Flax's and each other one."""
    paths = _paths(model)
    found = ((paths[id(module)], path) for path, module in _occurrences(model, (), set()))
    return [(path, other) for path, other in found if path != other]


def _paths(model: nnx.Module) -> dict[int, Path]:
    return {id(value): _named(path) for path, value in nnx.iter_graph(model)}


def _occurrences(value: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, nnx.Module]]:
    """Every module at every path that leads to it."""
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


def _array(variable: Any) -> Any:
    """The array, or what stands for it, in a leaf of a state."""
    (array,) = jax.tree.leaves(variable)
    return array


def _leaf(variable: Any, spec: Any) -> jax.ShapeDtypeStruct:
    """An array's shape, dtype and sharding: its own, or, in a mesh, the one that its metadata asks for."""
    leaf, mesh, axes = matching.spec_of(_array(variable)), jax.sharding.get_abstract_mesh(), jax.tree.leaves(spec)
    if leaf.sharding is None and not mesh.empty and axes:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=jax.sharding.NamedSharding(mesh, axes[0]))
    return leaf
