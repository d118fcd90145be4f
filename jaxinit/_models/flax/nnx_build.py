"""Build an NNX model with torch's draws in place of those that layers make by default.

`build` runs twice. An abstract run finds the path of each layer, from which its key follows, and the initializers
that the layer was given. In the second run each layer gets its arrays when it is constructed. So what `build`
does with a layer afterwards, such as to copy it or to scale its weight, it does with torch's numbers.
"""

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import jax
import jax.numpy as jnp
from flax import errors, nnx

from jaxinit import _arguments
from jaxinit._models.flax.linen_trace import given_to
from jaxinit._models.flax.nnx_constructors import Construct, construct_with, default_inits, observed
from jaxinit._models.flax.nnx_model import NNXModel, dicts_in, nodes
from jaxinit._models.flax.rules import LINEN_TABLE
from jaxinit._models.flax.rules import NNX_TABLE as TABLE
from jaxinit._models.matching import Given, Node, Path
from jaxinit._sampling.source import KeySource

M = TypeVar("M", bound=nnx.Module)


class Construction(Generic[M]):
    """Represent the abstract model that a constructor returns, and what is needed to build it.

    Args:
        constructor: called with `nnx.Rngs`. It returns the model.
        rngs: the streams that it is called with. The first run gets a copy of them.
        key: gives the streams if `rngs` are no `nnx.Rngs`.
    """

    def __init__(self, constructor: Callable[[nnx.Rngs], M], rngs: Any, key: jax.Array) -> None:
        if isinstance(constructor, nnx.Module):
            rule = f"`build` must be a function of nnx.Rngs, got a {type(constructor).__name__} that is built"
            raise TypeError(f"{rule}. Call jaxinit.nnx.reset_parameters to draw it anew")
        if not callable(constructor):
            raise TypeError(f"`build` must be a function of nnx.Rngs, got {constructor!r}")
        self._constructor = constructor
        self._rngs = rngs if isinstance(rngs, nnx.Rngs) else nnx.Rngs(KeySource(key).at(("build",)).key)
        self._zero = jnp.zeros(())
        self._layers: list[Path | None] = []
        self._copied: set[Path] = set()
        """The layers that are copies of one that is not in the model, and get their arrays through it."""
        self.given: dict[Path, Given | None] = {}
        """The initializers that layers were given, by path. None stands for a layer that keeps its values."""
        self._names: dict[Path, list[str]] = {}
        self.abstract: M = nnx.eval_shape(self._traced)
        # Flax sorts attributes when it builds a model anew.
        for path, own in _named_parts(nodes(self.abstract)):
            for name in self._names[path]:
                own[name] = own.pop(name)

    def _traced(self) -> M:
        run = _Run(self._zero)
        with observed(run.note):
            model = self._constructor(_fast(nnx.clone(self._rngs)))
        if not isinstance(model, nnx.Module):
            raise TypeError(f"`build` must return an nnx.Module, got {model!r}")
        found = nodes(model)
        paths = {id(node.module): node.path for node in found}
        self._layers = [paths.get(id(layer)) for layer, _ in run.calls]
        of_flax = [node for node in found if isinstance(node.module, tuple(TABLE))]
        self._find_copies(run, of_flax)
        self.given = {node.path: run.given_to(node.module) for node in of_flax}
        in_nnx = [node for node in found if isinstance(node.module, nnx.bridge.ToNNX)]
        self.given |= {node.path: given_to(node.module.to_nnx__module, LINEN_TABLE) for node in in_nnx}
        self._names = {path: list(own) for path, own in _named_parts(found)}
        return model

    def _find_copies(self, run: "_Run", layers: Iterable[Node]) -> None:
        """Take the first copy of a layer for that layer, if it is not in the model itself."""
        indices = {id(mark): index for index, (_, mark) in enumerate(run.calls)}
        for node in layers:
            index = indices.get(id(vars(node.module).get("jaxinit_given")))
            if index is None or self._layers[index] is not None:
                continue
            layer, mark = run.calls[index]
            if _shapes(layer) == _shapes(node.module):
                self._layers[index] = node.path
                self._copied.add(node.path)
                run.calls[index] = node.module, mark

    def fill(self, arrays: Mapping[Path, jax.Array]) -> M:
        """Build the model with `arrays` at their paths, and the others as the constructor makes them."""
        run = _Run(self._zero, self._layers, arrays)
        with observed(run.inject):
            model = self._constructor(self._rngs)
        modules = {node.path: node.module for node in nodes(model)}
        found = (each for each in run.filled if modules.get(each[1]) is each[0] or each[1] in self._copied)
        done = {(*path, name) for _, path, names in found for name in names}
        # Layers that were constructed inside a transform such as nnx.vmap, and what a subclass adds to a layer.
        left = {path: array for path, array in arrays.items() if path not in done}
        if left:
            NNXModel(model).replace(left)
        return model


def _named_parts(modules: Iterable[Node]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the attributes of each module, and the dicts in it, in the order in which they were set."""
    for node in modules:
        yield node.path, vars(node.module)
        yield from dicts_in(node.module, node.path)


class _Run:
    """Represent one run of a model's constructor: it observes the constructors of the layers.

    Args:
        zero: an array that the run does not trace. To set a variable takes time by all that its tracer depends on.
        layers: the path of each layer, in the order of the calls, or None for a layer that is not in the model.
        arrays: what to fill the layers with, by path.
    """

    def __init__(
        self,
        zero: jax.Array,
        layers: list[Path | None] | None = None,
        arrays: Mapping[Path, jax.Array] | None = None,
    ) -> None:
        self._level = nnx.Variable(zero)
        self._paths = iter(layers or [])
        self._arrays: dict[Path, dict[str, jax.Array]] = {}
        for (*path, name), array in (arrays or {}).items():
            self._arrays.setdefault(tuple(path), {})[name] = array
        self.calls: list[tuple[nnx.Module, _Mark]] = []
        self.filled: list[tuple[nnx.Module, Path, list[str]]] = []
        self._around: list[Any] | None = None
        """What the layer was given whose constructor runs."""

    def note(self, construct: Construct, layer: nnx.Module, call: inspect.BoundArguments) -> None:
        """Construct a layer, and note the initializers that it was given."""
        given = {name: init for name, init in call.arguments.items() if name.endswith("_init") and init is not None}
        if self._around is not None:
            # A layer passes its defaults on to its parts.
            given = {name: init for name, init in given.items() if any(init is each for each in self._around)}
        mark = _Mark(given)
        if not self._is_transformed:
            self.calls.append((layer, mark))
        around, self._around = self._around, list(given.values())
        defaults = [name for name in default_inits(construct) if name not in call.arguments]
        construct_with(dict.fromkeys(defaults, _zeros), construct, layer, call)
        self._around = around
        # A transform or a copy makes another object of this one. The new one has its attributes.
        layer.jaxinit_given = mark  # type: ignore[attr-defined]

    def given_to(self, layer: Any) -> Given | None:
        """Return the initializers that a layer of the model was given, or None if it was built before or copied."""
        mark = vars(layer).pop("jaxinit_given", None)
        if mark is not None:
            is_copy = any(own is mark and each is not layer for each, own in self.calls)
            return None if is_copy else mark.given
        is_seen = any(type(own) is type(layer) for own, _ in self.calls)
        return None if is_seen or not any(map(_arguments.is_traced, jax.tree.leaves(layer))) else {}

    def inject(self, construct: Construct, layer: nnx.Module, call: inspect.BoundArguments) -> None:
        """Construct a layer with its arrays."""
        path = None if self._is_transformed else next(self._paths, None)
        arrays = {} if path is None else self._arrays.get(path, {})
        inits = {f"{name}_init": functools.partial(_ready, array) for name, array in arrays.items()}
        replaced = {name: init for name, init in inits.items() if name in default_inits(construct)}
        construct_with(replaced, construct, layer, call)
        names = [name for name in arrays if hasattr(layer, name)]
        nnx.update(layer, {name: getattr(layer, name).replace(arrays[name]) for name in names})
        if path is not None:
            self.filled.append((layer, path, names))

    @property
    def _is_transformed(self) -> bool:
        """Return whether code runs inside a transform such as nnx.vmap or nnx.jit that the constructor of the model
        calls.
        """
        try:
            self._level[...] = self._level[...]
        except errors.TraceContextError:
            return True
        return False


class _Mark:
    """Represent a static attribute of a layer in the abstract run.

    All are equal, so that JAX finds layers alike that are alike without it.
    """

    def __init__(self, given: Given) -> None:
        self.given = given

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Mark)

    def __hash__(self) -> int:
        return hash(_Mark)

    def __deepcopy__(self, _: Any) -> "_Mark":
        return self


def _shapes(layer: nnx.Module) -> dict[Any, tuple[int, ...]]:
    return {path: jnp.shape(jax.tree.leaves(leaf)[0]) for path, leaf in nnx.to_flat_state(nnx.state(layer, nnx.Param))}


def _zeros(_: Any, shape: tuple[int, ...], dtype: Any = jnp.float32, **__: Any) -> jax.Array:
    """Return an array in place of a default initializer's, whose values no one sees. A draw takes longer to trace."""
    return jnp.zeros(shape, dtype)


def _ready(array: jax.Array, _: Any, shape: tuple[int, ...], dtype: Any = None, **__: Any) -> jax.Array:
    """Return the array in place of an initializer's. A layer that flattens the array for it gets zeros instead."""
    return array if array.shape == tuple(shape) else jnp.zeros(shape, dtype or array.dtype)


class _Stream(nnx.RngStream):
    """Represent Flax's stream of keys, which sets a new variable for its count instead of changing the old one.

    Changing it asks a tracer for a sharding. JAX answers with an error, and searches all that was
    traced for the text of the error. So tracing a model took time by the square of its size.
    """

    def __call__(self) -> jax.Array:
        key = jax.random.fold_in(self.key[...], self.count[...])
        self.count = nnx.RngCount(self.count[...] + 1, tag=self.tag)
        return key


def _fast(rngs: nnx.Rngs) -> nnx.Rngs:
    """Make all streams of `rngs` fast under a trace."""
    for _, stream in nnx.iter_graph(rngs):
        if isinstance(stream, nnx.RngStream):
            stream.__class__ = _Stream
    return rngs
