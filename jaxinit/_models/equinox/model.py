"""The parameters of an Equinox model, and what follows from them: counts of batches, norms of weights."""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._models import matching, verbs
from jaxinit._models.equinox import norms
from jaxinit._models.equinox.layers import RULES, built_shapes
from jaxinit._models.equinox.tree import Tree
from jaxinit._models.matching import Given, Node, Path
from jaxinit._models.stacked_axes import places
from jaxinit._models.stacks import Stacks
from jaxinit._sampling.sharding import laid_out_like

STATISTICS = ("running_mean", "running_var")


def as_source(key: Any) -> verbs.ModelSource:
    """Return the source for a key or a TorchGenerator."""
    return verbs.as_source("key", key, "a JAX PRNG key such as jax.random.key(0), or a TorchGenerator")


class EquinoxModel(verbs.Model):
    """Represent a model or a pair of a model and its state, concrete or abstract.

    With torch's `names` it is known which of the stacks are lists in torch.
    """

    has_torchs_names = True

    def __init__(self, model: Any, names: Iterable[str] | None = None, rule: str = "`model` must be") -> None:
        self.model, self.tree = model, Tree(model, rule)
        arrays = {path: leaf for path, leaf in self.tree.found.items() if _is_array(self.tree.leaves[leaf.index])}
        self._norms = {node.path: node.module for node in self.tree.nodes if isinstance(node.module, eqx.nn.BatchNorm)}
        statistics = {(*path, name) for path in self._norms for name in STATISTICS} & arrays.keys()
        vectors = {node.at(name) for node in self._of(eqx.nn.SpectralNorm) for name in norms.vectors(node.module)}
        self._trained = {
            path
            for path, leaf in arrays.items()
            if path in statistics | vectors or (not leaf.is_state and self._is_inexact(path))
        }
        self._buffers = arrays.keys() - self._trained
        specs = {path: self._spec(path) for path in arrays if path in self._trained}
        nodes = self.tree.nodes
        built = {node.at(name): shape for node in nodes for name, shape in built_shapes(node.module).items()}
        is_whole = names is not None or any(RULES.of(self.tree.module))
        modules = [node.path for node in nodes if node.path or is_whole]
        kinds = [specs.keys() - statistics, statistics]
        super().__init__(nodes, Stacks(places(specs, built, modules, kinds, names, is_in_front=True)), RULES)

    def _of(self, kind: type) -> list[Node]:
        return [node for node in self.tree.nodes if isinstance(node.module, kind)]

    def _leaf(self, path: Path) -> Any:
        return self.tree.leaves[self.tree.found[path].index]

    def _spec(self, path: Path) -> jax.ShapeDtypeStruct:
        return matching.spec_of(self._leaf(path), jax.sharding.get_abstract_mesh(), None)

    def _is_inexact(self, path: Path) -> bool:
        return jnp.issubdtype(self._leaf(path).dtype, jnp.inexact)

    @property
    def unordered(self) -> Mapping[Path, str]:
        return dict.fromkeys(self.tree.dicts, "a dict, whose keys JAX sorts")

    @property
    def advice(self) -> str:
        if not self.tree.lacks_state:
            return ""
        return "The model keeps arrays in its state, such as running statistics. Pass the pair (model, state)"

    def shared(self) -> list[tuple[Path, Path]]:
        return self.tree.shared

    def buffers(self) -> matching.Leaves:
        return {path: self._spec(path) for path in self.tree.found if path in self._buffers}

    def values(self) -> Mapping[Path, Any]:
        values = {path: self._leaf(path) for path in self.tree.found if path in self._trained | self._buffers}
        if any(isinstance(array, jax.ShapeDtypeStruct) for array in values.values()):
            raise TypeError(f"`model` must hold arrays, got an abstract {type(self.tree.module).__name__}")
        for path, index in self.tree.counts.items():
            for name in STATISTICS:
                own = (*path, name)
                values[own] = norms.debiased(self._norms[path], values[own], self.tree.leaves[index])
        return {path: self._in_other_order(path, array) for path, array in values.items()}

    def filtered(self, chosen: Any) -> list[Path]:
        if not callable(chosen) or isinstance(chosen, type):
            raise TypeError(f"not a function of the model: {chosen!r}")
        indices = set(self.tree.chosen(chosen))
        known = self._trained | self._buffers
        return [path for path, leaf in self.tree.found.items() if leaf.index in indices and path in known]

    def with_lists(self, names: Iterable[str]) -> "EquinoxModel":
        return EquinoxModel(self.model, names) if self.stacks else self

    def init(
        self, source: verbs.ModelSource, order: Iterable[str] | None, given: Mapping[Path, Given | None] | None = None
    ) -> verbs.Arrays:
        """Draw the arrays that have a rule, and set what follows from the weights of norms."""
        if source.generator is not None:
            self._require_torchs_vectors()
        if source.generator is not None and self.tree.shared:
            # torch draws a weight, too, before it ties it to another one.
            drawn = verbs.Model.init(EquinoxModel(self.tree.untied()), source, order, given)
            arrays = {path: array for path, array in drawn.items() if path in self.stacks.places}
        else:
            arrays = super().init(source, order, given)
        return arrays | dict(self._scales(arrays)) | dict(self._singular_vectors(arrays))

    def scales(self) -> Mapping[Path, tuple[Path, tuple[int, ...]]]:
        found = {}
        for node in self._of(eqx.nn.WeightNorm):
            weight, scale = node.at(node.module.weight_name), node.at(f"{node.module.weight_name}_g")
            # One norm of the whole weight is a scalar in torch.
            found[scale] = weight, () if node.module.axis is None else self.stacks.leaves[scale].shape
        return found

    def warn(self) -> None:
        scales = self.scales()
        self.rules.warn(path for path in self.unmatched if path not in scales)

    def _scales(self, arrays: verbs.Arrays) -> Iterator[tuple[Path, jax.Array]]:
        """Yield the scale of each WeightNorm whose weight is drawn: the norm of the weight."""
        for node in self._of(eqx.nn.WeightNorm):
            weight, scale = node.at(node.module.weight_name), node.at(f"{node.module.weight_name}_g")
            if weight in arrays:
                place = self.stacks.places[scale]
                front = self.stacks.places[weight].to_front(arrays[weight])
                rank = len(self.stacks.leaves[weight].shape)
                new = norms.lengths(front, rank, node.module.axis).reshape(place.in_front.shape)
                yield scale, place.restored(new.astype(place.spec.dtype))

    def _singular_vectors(self, arrays: verbs.Arrays) -> Iterator[tuple[Path, jax.Array]]:
        """Yield the vectors of each SpectralNorm, which were drawn, after the power iterations of its constructor."""
        for node in self._of(eqx.nn.SpectralNorm):
            weight, *vectors = map(node.at, (node.module.weight_name, *norms.vectors(node.module)))
            if weight in arrays and all(path in arrays for path in vectors):
                iterated = functools.partial(norms.iterated, eps=node.module.eps)
                for _ in self.stacks.places[weight].stacked_axes:
                    iterated = jax.vmap(iterated)
                own = {path: self._in_other_order(path, arrays[path]) for path in (weight, *vectors)}
                fronts = (self.stacks.places[path].to_front(array) for path, array in own.items())
                for path, vector in zip(vectors, iterated(*fronts), strict=True):
                    yield path, self._in_other_order(path, self.stacks.places[path].restored(vector))

    def _in_other_order(self, path: Path, array: Any) -> Any:
        """Return a vector of a SpectralNorm in torch's order of the entries, or back in Equinox's order.

        They differ for a transposed convolution, whose kernel is flipped. Other arrays are unchanged.
        """
        for node in self._transposed:
            if path == node.at(norms.vectors(node.module)[1]):
                return norms.flipped(array, node.module.layer.kernel_size)
        return array

    @functools.cached_property
    def _transposed(self) -> list[Node]:
        """Return the modules of SpectralNorm around the weight of a transposed convolution."""
        nodes = (node for node in self._of(eqx.nn.SpectralNorm) if node.module.weight_name == "weight")
        return [node for node in nodes if isinstance(node.module.layer, eqx.nn.ConvTranspose)]

    def _require_torchs_vectors(self) -> None:
        if wrong := [node for node in self._transposed if node.module.layer.groups > 1]:
            raise ValueError(
                f"`key` must be a JAX key for {wrong[0]}, got a TorchGenerator. "
                "Of a transposed convolution with groups, torch draws vectors of other sizes than Equinox"
            )

    def filled(self, arrays: verbs.Arrays, *, is_loaded: bool = False, build: Callable[[], Any] | None = None) -> Any:
        """Return the model with `arrays` at their paths, and the others unchanged or as `build` makes them.

        Counts of batches of BatchNorm are those of a new model, or of one that has seen many batches if `is_loaded`.
        """
        new = {self.tree.found[path].index: self._in_other_order(path, array) for path, array in arrays.items()}
        new |= dict(self._counts(arrays, is_loaded))
        new = {index: self._laid_out(array, index) for index, array in new.items()}
        return self.tree.filled(new if build is None else new | self._others(build, new))

    def _counts(self, arrays: verbs.Arrays, is_loaded: bool) -> Iterator[tuple[int, jax.Array]]:
        """Yield the count of batches of each BatchNorm whose statistics are set."""
        for path, index in self.tree.counts.items():
            if any((*path, name) in arrays for name in STATISTICS):
                old = self.tree.leaves[index]
                yield index, jnp.full(old.shape, norms.count(self._norms[path], is_loaded), old.dtype)

    def _laid_out(self, array: jax.Array, index: int) -> jax.Array:
        old = self.tree.leaves[index]
        return array if isinstance(old, jax.ShapeDtypeStruct) else laid_out_like(array, old)

    def _others(self, build: Callable[[], Any], new: Mapping[int, jax.Array]) -> dict[int, jax.Array]:
        """Return those arrays of an abstract model that are not new. XLA leaves out what computes the new ones."""
        leaves = enumerate(self.tree.leaves)
        rest = [index for index, leaf in leaves if isinstance(leaf, jax.ShapeDtypeStruct) and index not in new]

        def others() -> list[jax.Array]:
            built = jax.tree.leaves(build())
            return [built[index] for index in rest]

        return dict(zip(rest, jax.jit(others)(), strict=True)) if rest else {}


def _is_array(leaf: Any) -> bool:
    """Return whether a leaf is an array of numbers, concrete or abstract, and no PRNG key."""
    is_array = isinstance(leaf, jax.Array | np.ndarray | jax.ShapeDtypeStruct)
    return is_array and not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
