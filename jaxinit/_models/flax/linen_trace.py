"""Find the modules of a Linen model, and the shapes that they see, by one abstract run of `init`.

A Linen module makes its submodules and parameters while it runs. So Flax is asked to report
every call of a method. Under `nn.scan` and `nn.vmap` a module sees one layer of its arrays,
and the modules around it see the stack: this tells which arrays hold layers. Flax tells a box
around such an array which axes it adds. So a model with stacks is run again, with boxes.
"""

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

import flax
import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp

from jaxinit._models.matching import Given, Node, Path, array_in, dotted
from jaxinit._models.stacked_axes import choices

COLLECTIONS = ("batch_stats", "params")
"""The collections that torch has too: running statistics, and parameters."""

Shape = tuple[int, ...]


@dataclasses.dataclass
class Called:
    """Represent a module that was called: a copy outside of the run, and the shapes of the arrays in it and below it.

    The names of the arrays are whole paths that begin with the collection.
    """

    path: Path
    module: nn.Module
    shapes: dict[Path, Shape] = dataclasses.field(default_factory=dict)
    names: dict[str, None] = dataclasses.field(default_factory=dict)
    """The names of its parts: as `setup` sets them, then as they are made."""
    unplaced: set[str] = dataclasses.field(default_factory=set)
    """The parameters that `setup` makes and sets as no attribute."""

    def see(self, module: nn.Module, method: str) -> None:
        """Note the module's variables and attributes after a call of a method."""
        collections = [module.variables.get(name, {}) for name in reversed(COLLECTIONS)]
        own = {name: value for collection in collections for name, value in collection.items()}
        as_attributes = list(_attributes(module, own))
        self.names = dict.fromkeys([*as_attributes, *self.names, *own])
        if method == "setup":
            self.unplaced = own.keys() - set(as_attributes)
        for (collection, *path), box in flat(module.variables).items():
            if collection in COLLECTIONS:
                self.shapes.setdefault((collection, *self.path, *path), array_in(box).shape)


class _Box(flax.struct.PyTreeNode, nn.meta.AxisMetadata[Any]):
    """Represent an array of one layer, and where each `nn.scan` or `nn.vmap` around it inserts an axis, inner ones
    first.
    """

    value: Any
    inserted: tuple[int, ...] = flax.struct.field(default=(), pytree_node=False)

    def unbox(self) -> Any:
        return self.value

    def replace_boxed(self, val: Any) -> "_Box":
        return self.replace(value=val)

    def add_axis(self, index: int, params: Any) -> "_Box":
        return self.replace(inserted=(*self.inserted, index))

    def remove_axis(self, index: int, params: Any) -> "_Box":
        return self.replace(inserted=self.inserted[:-1])

    # A scanned function may read `module.variables` of a module that it has called, and meet the box there.
    def __jax_array__(self) -> jax.Array:
        array: jax.Array = self.value
        return array

    def __getattr__(self, name: str) -> Any:
        if name == "value":
            raise AttributeError(name)
        return getattr(self.value, name)

    @property
    def stacked_axes(self) -> tuple[int, ...]:
        """Return the inserted axes of the whole array, outer ones first."""
        axes: list[int] = []
        for rank, index in enumerate(self.inserted, self.value.ndim - len(self.inserted) + 1):
            axes = [index % rank, *(axis + (axis >= index % rank) for axis in axes)]
        return tuple(axes)


class Trace:
    """Represent the modules of a model in the order in which their first calls ended."""

    def __init__(self) -> None:
        # Two modules can share a path: nn.share_scope gives a module the scope of a module in it.
        self._called: dict[tuple[Path, type[nn.Module]], Called] = {}

    def intercept(self, call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        """Note a call of a method. Flax calls this in place of the method."""
        result, module = call(*args, **kwargs), context.module
        if module.scope is not None and module.is_initializing():
            at = module.path, type(module)
            if at not in self._called:
                self._called[at] = Called(module.path, module.copy(parent=None, name=module.name))
            self._called[at].see(module, context.method_name)
        return result

    def restrict(self, variables: Mapping[Path, Any]) -> None:
        """Drop the modules whose arrays are neither arrays of the model nor layers of them.

        Such modules are run by themselves inside of a method, or under `nn.map_variables`.
        """

        def is_of_model(path: Path, shape: Shape) -> bool:
            return path in variables and bool(choices(array_in(variables[path]).shape, shape))

        self._called = {
            at: called
            for at, called in self._called.items()
            if all(is_of_model(path, shape) for path, shape in called.shapes.items())
        }

    @property
    def nodes(self) -> list[Node]:
        """Return the modules, each after the modules in it, and otherwise in the order of their constructors."""
        called = sorted(self._called.values(), key=lambda called: (*self.place(called.path), math.inf))
        return [Node(each.path, each.module) for each in called]

    def place(self, path: Path) -> tuple[float, ...]:
        """Return a key that sorts paths as the modules around them set or make their parts."""
        return tuple(self._ranks.get(prefix, math.inf) for prefix in _prefixes(path))

    @functools.cached_property
    def _ranks(self) -> dict[Path, int]:
        # An outer module at the same path comes later, and has all the names.
        return {
            (*called.path, name): rank for called in self._called.values() for rank, name in enumerate(called.names)
        }

    @property
    def unordered(self) -> dict[Path, str]:
        """Return the modules of which nothing shows the order, and the reason in words."""
        return {
            called.path: f"whose `setup` does not set the parameter {name} as an attribute"
            for called in self._called.values()
            for name in called.unplaced
        }

    @property
    def layers(self) -> dict[Path, tuple[Shape, int]]:
        """Return the shape of each array in one layer, and the depth of the module that is stacked.

        The innermost module around an array sees one layer. Of the modules that see the same
        shape, the outermost is the stacked one. Its depth is the length of its path.
        """
        layers: dict[Path, tuple[Shape, int]] = {}
        for called in sorted(self._called.values(), key=lambda called: len(called.path), reverse=True):
            for name, shape in called.shapes.items():
                innermost, _ = layers.setdefault(name, (shape, len(called.path)))
                if shape == innermost:
                    layers[name] = shape, len(called.path)
        return layers


def _attributes(module: nn.Module, own: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the parts that a module has as attributes, in the order in which they were set."""
    names = {id(array_in(value)): name for name, value in own.items() if not isinstance(value, Mapping)}
    for value in _values(list(vars(module).values())):
        if id(value) in names:
            yield names[id(value)]
        elif isinstance(value, nn.Module) and value.name and value.parent is module:
            yield value.name


def _values(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        yield from itertools.chain.from_iterable(map(_values, value))
    elif isinstance(value, Mapping):
        yield from _values(list(value.values()))
    else:
        yield value


def _prefixes(path: Path) -> list[Path]:
    return [path[:end] for end in range(1, len(path) + 1)]


def run(
    module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Any, Trace, dict[Path, tuple[tuple[int, ...], int]]]:
    """Return the abstract variables of the module, the trace, and the stacked axes and their depth for each stack.

    Inputs may be abstract too.
    """
    trace = Trace()
    variables = _initialized(module, inputs, kwargs, trace.intercept)
    whole = flat(variables)
    trace.restrict(whole)
    depths = {name: depth for name, (shape, depth) in trace.layers.items() if array_in(whole[name]).shape != shape}
    if not depths:
        return variables, trace, {}

    def box(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        result, module = call(*args, **kwargs), context.module
        if module.scope is not None and module.is_initializing():
            _put_boxes(module, depths)
        return result

    boxed = flat(_initialized(module, inputs, kwargs, box))
    return variables, trace, {name: (_axes_of(name, boxed[name]), depth) for name, depth in depths.items()}


def _initialized(module: nn.Module, inputs: Sequence[Any], kwargs: Mapping[str, Any], intercept: Any) -> Any:
    leaves, treedef = jax.tree.flatten((inputs, kwargs))
    # Other inputs stay as they are: a module may ask for the value of a flag.
    abstract = {index: leaf for index, leaf in enumerate(leaves) if isinstance(leaf, jax.ShapeDtypeStruct)}

    def build(given: Mapping[int, jax.Array]) -> Any:
        args, options = jax.tree.unflatten(treedef, [given.get(index, leaf) for index, leaf in enumerate(leaves)])
        with nn.intercept_methods(intercept):
            return module.init(jax.random.key(0), *args, **options)

    return jax.eval_shape(build, abstract)


def _put_boxes(module: nn.Module, depths: Mapping[Path, int]) -> None:
    """Put the arrays of a module that is stacked into boxes, in it and below it."""
    for (collection, *path), found in flat(module.variables).items():
        is_stacked = depths.get((collection, *module.path, *path)) == len(module.path)
        if is_stacked and not isinstance(found, _Box):
            value: Any = _Box(array_in(found))
            for name in reversed(path[1:]):
                value = {name: value}
            module.put_variable(collection, path[0], value)


def _axes_of(name: Path, box: Any) -> tuple[int, ...]:
    if not isinstance(box, _Box) or not box.inserted:
        raise ValueError(
            f"cannot tell which axes of {dotted(name)} stack layers: a transform such as nn.map_variables "
            f"drops Flax's metadata. Got shape {array_in(box).shape}. Use nn.scan or nn.vmap alone for it"
        )
    return box.stacked_axes


def given_to(module: nn.Module, kinds: Container[type]) -> Given:
    """Return the initializers that a module was given. A subclass of one of `kinds` may give them by other defaults."""
    kind = next((kind for kind in type(module).__mro__ if kind in kinds), type(module))
    defaults = {field.name: field.default for field in dataclasses.fields(kind) if field.name.endswith("_init")}
    found = {name: getattr(module, name) for name in defaults}
    return {name: init for name, init in found.items() if init != defaults[name]}


def init_with(
    module: nn.Module, arrays: Mapping[Path, Any], rngs: Any, inputs: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """Return `module.init` where modules find `arrays`, or boxes of them, at their paths."""

    def intercept(call: Callable[..., Any], args: Any, kwargs: Any, context: Any) -> Any:
        if waiting and context.module.path == ():
            for collection, variables in flax.traverse_util.unflatten_dict(waiting).items():
                for name, value in variables.items():
                    context.module.put_variable(collection, name, value)
            waiting.clear()
        return call(*args, **kwargs)

    waiting = dict(arrays)
    with nn.intercept_methods(intercept):
        return module.init(rngs, *inputs, **kwargs)


def concrete(inputs: Any) -> Any:
    """Return the inputs with zeros in place of abstract arrays."""
    return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x, inputs)


def flat(variables: Any) -> dict[Path, Any]:
    """Return arrays, or boxes that hold one, by their paths. A path begins with the name of the collection."""
    leaves = jax.tree_util.tree_leaves_with_path(variables, is_leaf=is_box)
    return {tuple(jax.tree_util.keystr((part,), simple=True) for part in path): box for path, box in leaves}


def is_box(value: Any) -> bool:
    return isinstance(value, nn.meta.AxisMetadata)
