"""The variables of a Linen model: arrays in collections, some of them in boxes, some of them stacks of layers."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import flax.linen as nn
import jax
from flax import nnx
from flax.linen import spmd

from jaxinit._models import matching, verbs
from jaxinit._models.flax import linen_trace, rules, weight_norm
from jaxinit._models.flax.linen_trace import COLLECTIONS, flat
from jaxinit._models.flax.nnx_model import nodes as nnx_nodes
from jaxinit._models.matching import Given, Node, Path, array_in
from jaxinit._models.stacks import Place, Stacks
from jaxinit._sampling.sharding import laid_out_like


def as_source(key: Any) -> verbs.ModelSource:
    """Return the source for a key, a dict with the key of `params`, or a TorchGenerator."""
    if isinstance(key, Mapping) and "params" not in key:
        raise ValueError(f"`key` must be a key, or a dict with a key of 'params', got {sorted(key)}")
    value = key["params"] if isinstance(key, Mapping) else key
    return verbs.as_source("key", value, "a JAX PRNG key such as jax.random.key(0), or a TorchGenerator")


class LinenModel(verbs.Model):
    """Represent a module with its variables.

    Paths of the model lack the name of the collection. Where a statistic and a parameter have
    the same path, it means the parameter. Variables are abstract until they are given.
    """

    def __init__(self, module: nn.Module, inputs: Any, kwargs: Any, **given: Any) -> None:
        if not isinstance(module, nn.Module):
            raise TypeError(f"`module` must be a flax.linen.Module, got {module!r}")
        abstract, trace, stacked = linen_trace.run(module, inputs, kwargs)
        self.variables = _validated(given["variables"], flat(abstract)) if given else abstract
        self._boxes = flat(self.variables)
        # `params` comes after `batch_stats` in the order of the names.
        names = {name[1:]: name for name in self._boxes if name[0] in COLLECTIONS}
        self._names = {path: names[path] for path in sorted(names, key=trace.place)}
        others = {name[1:]: name for name in self._boxes if name[0] not in COLLECTIONS}
        self._buffers = {path: name for path, name in others.items() if path not in self._names}
        places = {path: Place(_spec(self._boxes[name]), *stacked.get(name, ())) for path, name in self._names.items()}
        nodes = [*_with_nnx(trace.nodes)]
        in_nnx = (node.path for node in nodes if _lacks_order(node.module))
        self._unordered = trace.unordered | dict.fromkeys(in_nnx, "an NNX module, whose order Linen does not show")
        super().__init__(nodes, Stacks(places), rules.LINEN)

    @property
    def unordered(self) -> Mapping[Path, str]:
        return self._unordered

    def buffers(self) -> matching.Leaves:
        return {path: _spec(self._boxes[name]) for path, name in self._buffers.items()}

    def values(self) -> Mapping[Path, Any]:
        return {path: array_in(self._boxes[name]) for path, name in {**self._buffers, **self._names}.items()}

    def filtered(self, chosen: Any) -> list[Path]:
        if not callable(chosen) or isinstance(chosen, type):
            raise TypeError(f"not a function of a path and an array: {chosen!r}")
        return [path for path, array in self.values().items() if chosen(path, array)]

    def init(
        self, source: verbs.ModelSource, order: Iterable[str] | None, given: Mapping[Path, Given | None] | None = None
    ) -> verbs.Arrays:
        """Draw the arrays that have a rule, and set the scales of weight norms."""
        arrays = super().init(source, order, given)
        return arrays | dict(self._scales(arrays))

    def warn(self) -> None:
        scales = {scale for scale, _ in self._weight_norms}
        self.rules.warn(path for path in self.unmatched if path not in scales)

    def scales(self) -> Mapping[Path, tuple[Path, tuple[int, ...]]]:
        return {
            scale: (kernel, weight_norm.with_axes(self.stacks.leaves[kernel].shape, module.feature_axes))
            for (scale, kernel), module in self._weight_norms.items()
        }

    @functools.cached_property
    def _weight_norms(self) -> Mapping[tuple[Path, Path], Any]:
        """Return the WeightNorm around each scale and its kernel."""
        return {
            pair: node.module
            for node in self.nodes
            if isinstance(node.module, weight_norm.KINDS)
            for pair in weight_norm.kernels(node, self.stacks.leaves).items()
        }

    def _scales(self, arrays: verbs.Arrays) -> Iterator[tuple[Path, jax.Array]]:
        for (scale, kernel), module in self._weight_norms.items():
            if kernel in arrays and weight_norm.has_default_scales(module):
                place = self.stacks.places[scale]
                front = self.stacks.places[kernel].to_front(arrays[kernel])
                norms = weight_norm.norms(front, module.feature_axes, place.in_front.shape)
                yield scale, place.restored(norms.astype(place.spec.dtype))

    @property
    def given(self) -> dict[Path, Given]:
        """Return the initializers that modules were given, by path."""
        given: dict[Path, Given] = {}
        for node in self.nodes:
            if isinstance(node.module, nn.Module):
                own = linen_trace.given_to(node.module, rules.LINEN_TABLE)
                given[node.path] = {**given.get(node.path, {}), **own}
        return given

    def filled(self, arrays: Mapping[Path, jax.Array], build: Callable[[Any], Any] | None = None) -> Any:
        """Return the variables with `arrays` at their paths, and the others unchanged or as `build` makes them.

        `build` is called with the arrays, each in its box, by their whole paths.
        """
        names = {**self._buffers, **self._names}
        named = {names[path]: array for path, array in arrays.items()}
        rest = {name: _spec(box).sharding for name, box in self._boxes.items() if name not in named}
        if build is not None and rest:

            def others(named: Mapping[Path, jax.Array]) -> dict[Path, jax.Array]:
                built = flat(build(self._boxed(named)))
                return {name: array_in(built[name]) for name in rest}

            named |= jax.jit(others, out_shardings=rest)(named)
        boxes = {**self._boxes, **self._boxed(named)}
        structure = jax.tree.structure(self.variables, is_leaf=linen_trace.is_box)
        return jax.tree.unflatten(structure, boxes.values())

    def _boxed(self, named: Mapping[Path, jax.Array]) -> dict[Path, Any]:
        """Return the arrays, each in the box that the model has for it, and laid out like the one that is there."""
        return {
            name: jax.tree.map(lambda old, array=array: laid_out_like(array, old), self._boxes[name])
            for name, array in named.items()
        }


def _lacks_order(module: Any) -> bool:
    """Return whether nothing shows the order of the parts of an NNX module in Linen. A list has its own."""
    return isinstance(module, nnx.Module | nnx.bridge.ToLinen) and not isinstance(module, nnx.List)


def _with_nnx(nodes: Iterable[Node]) -> Iterator[Node]:
    """Yield modules, and before each `ToLinen` the NNX modules in it."""
    for node in nodes:
        if isinstance(node.module, nnx.bridge.ToLinen):
            model = nnx.eval_shape(lambda module=node.module: _built(module))
            yield from (Node((*node.path, *inner.path), inner.module) for inner in nnx_nodes(model))
        yield node


def _built(module: nnx.bridge.ToLinen) -> Any:
    rngs = {} if module.skip_rng else {"rngs": nnx.Rngs(0)}
    return module.nnx_class(*module.args, **{**module.kwargs, **rngs})


def _spec(box: Any) -> jax.ShapeDtypeStruct:
    """Return the shape, dtype and sharding of an array. In a mesh, its box may ask for a sharding."""
    mesh = getattr(box, "mesh", None) or jax.sharding.get_abstract_mesh()
    axes = nn.get_partition_spec(box) if linen_trace.is_box(box) else None
    if isinstance(box, nn.LogicallyPartitioned):
        axes = spmd.logical_to_mesh_axes(axes, box.rules)
    return matching.spec_of(box, mesh, axes)


def _validated(variables: Any, expected: Mapping[Path, Any]) -> Any:
    """Return the variables if they have collections and shapes of the module."""
    if not isinstance(variables, Mapping):
        raise TypeError(f"`variables` must be a dict of collections, as `module.init` returns, got {variables!r}")
    collections = sorted({path[0] for path in expected})
    if variables and not any(name in collections for name in variables):
        raise ValueError(f"`variables` must hold collections of the module, {collections}, got {sorted(variables)}")
    wrong = [
        f"{matching.dotted(path)} {array_in(expected[path]).shape}, got {array_in(box).shape}"
        for path, box in flat(variables).items()
        if path in expected and array_in(expected[path]).shape != array_in(box).shape
    ]
    if wrong:
        raise ValueError("`variables` must have the shapes that the module has for these inputs: " + "; ".join(wrong))
    return variables
