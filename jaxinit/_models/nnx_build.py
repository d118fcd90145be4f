"""Run the constructor of an NNX model abstractly, then fill the model: no array is drawn twice."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import jax
from flax import nnx

from jaxinit import _arguments
from jaxinit._models.matching import Path
from jaxinit._models.nnx_model import NNXModel, as_path, dicts_in, nodes
from jaxinit._sampling.source import KeySource

M = TypeVar("M", bound=nnx.Module)


class Construction(Generic[M]):
    """The abstract model that a constructor returns, and what is needed to fill it."""

    def __init__(self, constructor: Callable[[nnx.Rngs], M], key: jax.Array) -> None:
        if isinstance(constructor, nnx.Module) or not callable(constructor):
            raise TypeError(f"`build` must be a function of nnx.Rngs, got {constructor!r}")
        self._constructor, self._key = constructor, KeySource(key).at(("build",)).key
        self._names: dict[Path, list[str]] = {}
        self.abstract: M = nnx.eval_shape(self._traced)
        _reorder(self.abstract, self._names)
        _require_visible(self.abstract)

    def _traced(self) -> M:
        model = self._built()
        if not isinstance(model, nnx.Module):
            raise TypeError(f"`build` must return an nnx.Module, got {model!r}")
        _require_visible(model)
        self._names |= _attributes(model)
        return model

    def _built(self) -> M:
        return _build(self._constructor, self._key)

    def fill(self, view: NNXModel, arrays: Mapping[Path, jax.Array]) -> M:
        """Return the model with `arrays` at their paths in `view`, and the others as the constructor makes them."""
        model: M = view.filled(arrays, self._built)
        _reorder(model, self._names)
        return model


class _Stream(nnx.RngStream):
    """Flax's stream of keys, which sets a new variable for its count instead of changing the old one.

    Changing it asks a tracer for a sharding. JAX answers with an error, and searches all that was
    traced for the text of the error. So tracing a model took time by the square of its size.
    """

    def __call__(self) -> jax.Array:
        key = jax.random.fold_in(self.key[...], self.count[...])
        self.count = nnx.RngCount(self.count[...] + 1, tag=self.tag)
        return key


def _build(constructor: Callable[[nnx.Rngs], M], key: jax.Array) -> M:
    """Return `constructor(nnx.Rngs(key))`. Fast under a trace."""
    rngs = nnx.Rngs(key)
    rngs.default.__class__ = _Stream
    model = constructor(rngs)
    for _, value in nnx.iter_graph(model):
        if isinstance(value, _Stream):
            value.__class__ = nnx.RngStream  # type: ignore[assignment]  # the model keeps Flax's own class
    return model


def _attributes(model: nnx.Module) -> dict[Path, list[str]]:
    """Return the names of each module's attributes, and of entries of dicts, in the order in which they were set."""
    return {path: list(own) for path, own in _named_parts(model)}


def _reorder(model: nnx.Module, names: Mapping[Path, list[str]]) -> None:
    """Put the attributes of each module into the order of `names`. Flax sorts them when it builds a model anew."""
    for path, own in _named_parts(model):
        for name in names[path]:
            own[name] = own.pop(name)


def _named_parts(model: nnx.Module) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the attributes of each module, and the dicts in it."""
    for node in nodes(model):
        yield node.path, vars(node.module)
        yield from dicts_in(node.module, node.path)


def _require_visible(model: nnx.Module) -> None:
    """Raise ValueError if a traced or abstract model keeps an array in a plain attribute, where Flax does not look."""
    seen = {as_path(path) for path, _ in nnx.to_flat_state(nnx.state(model))}
    for node in nodes(model):
        for name, value in vars(node.module).items():
            is_array = _arguments.is_traced(value) or isinstance(value, jax.ShapeDtypeStruct)
            if is_array and (*node.path, name) not in seen:
                raise ValueError(f"`build` must keep arrays in an nnx.Variable, got a plain one in {name} of {node}")
