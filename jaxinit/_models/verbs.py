"""What the functions of `jaxinit.nnx` and of `jaxinit.linen` share: a model, and the source of its numbers."""

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxinit import _arguments
from jaxinit._models import matching, torch_order
from jaxinit._models.loading import checkpoint, state_dict
from jaxinit._models.loading.selection import Rename, Selection, renamed
from jaxinit._models.matching import Draw, InitFn, Initializers, Match, Node, Path
from jaxinit._models.rules import Rules
from jaxinit._models.stacks import Stacks
from jaxinit._sampling.source import KeySource
from jaxinit._torch_generator.generator import TorchGenerator

Arrays = dict[Path, jax.Array]


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """Where the numbers of a model come from: a key, or torch's generator and a key for what Flax draws itself."""

    key: jax.Array
    generator: TorchGenerator | None = None

    def for_method(self, path: Path, of_key: Callable[[jax.Array], Any]) -> Any:
        """Return what a method of a user's module draws from: the generator, or what `of_key` makes of a key."""
        return of_key(KeySource(self.key).at(path).key) if self.generator is None else self.generator


def as_source(name: str, value: Any, kinds: str) -> ModelSource:
    """Return the source for a key or a TorchGenerator. `kinds` says in words what the argument `name` may be."""
    if isinstance(value, TorchGenerator):
        return ModelSource(jax.random.key(value.initial_seed() % 2**32), value)
    if not _arguments.is_key(value):
        raise TypeError(f"`{name}` must be {kinds}, got {value!r}")
    _arguments.check_key(value, name)
    return ModelSource(value)


def compiled(build: Callable[[], Mapping[Path, Any]], shardings: Mapping[Path, Any]) -> Arrays:
    """Return those arrays that `build` makes at the paths of `shardings`. The compiler removes all other draws."""
    if not shardings:
        return {}

    def arrays() -> list[jax.Array]:
        built = build()
        return [matching.array_in(built[path]) for path in shardings]

    return dict(zip(shardings, jax.jit(arrays, out_shardings=list(shardings.values()))(), strict=True))


class Model:
    """A Flax model: its modules with their rules, and its arrays by their paths."""

    def __init__(self, nodes: Sequence[Node], stacks: Stacks, rules: Rules) -> None:
        self.nodes, self.stacks, self.rules = nodes, stacks, rules

    @functools.cached_property
    def _matching(self) -> tuple[list[Match], list[Path]]:
        return matching.matched(self.nodes, self.stacks.leaves, self.rules.find)

    @property
    def unmatched(self) -> list[Path]:
        """The paths of the arrays without a rule."""
        return self._matching[1]

    def sorted_nodes(self) -> list[Path]:
        """Return the modules whose attributes Flax sorted, so that torch's order is lost."""
        return []

    def shared(self) -> list[tuple[Path, Path]]:
        """Return, for each module at several paths, Flax's path and each other one."""
        return []

    def buffers(self) -> matching.Leaves:
        """Return the arrays that are neither parameters nor running statistics, by their paths."""
        return {}

    def initializers(self) -> Initializers:
        """Return the initializer of each array that has a rule, by its dotted path."""
        return {matching.dotted(path): init for path, init in self._draws()}

    def _draws(self) -> list[Draw]:
        return [draw for match in self._matching[0] for draw in match.draws]

    def _layers(self) -> list[Match]:
        return self.stacks.layer_matches(self._matching[0])

    def init(self, source: ModelSource, order: Iterable[str] | None) -> Arrays:
        """Draw the arrays that have a rule."""
        if source.generator is None:
            return self.stacks.draw(self._draws(), KeySource(source.key))
        model = self._layers(), self.stacks.layer_leaves, source.generator
        return self.stacks.whole(torch_order.replay_init(*model, order, self.sorted_nodes()))

    def apply(self, source: ModelSource, fn: InitFn, only: str | None) -> Arrays:
        """Draw what `fn` asks for."""
        draws = matching.selected(self.nodes, self._matching[0], self.stacks.leaves, fn, only)
        if source.generator is None:
            return self.stacks.draw(draws, KeySource(source.key))
        model = self._layers(), self.stacks.layer_leaves, source.generator
        return self.stacks.whole(torch_order.replay_apply(self.stacks.layer_draws(draws), *model, self.sorted_nodes()))

    def load(
        self, state: checkpoint.State, rename: Rename | None, selection: Selection, strict: bool
    ) -> tuple[Arrays, state_dict.Matched]:
        """Return the arrays made of torch's tensors, and the names of the tensors for each."""
        tensors = renamed(checkpoint.read(state), rename)
        return self.with_lists(tensors).load_tensors(tensors, selection, strict)

    def with_lists(self, names: Iterable[str]) -> "Model":
        """Return the model with the knowledge of stacks that torch's names give: a stack is a list there."""
        return self

    def load_tensors(
        self, tensors: Mapping[str, np.ndarray], selection: Selection, strict: bool
    ) -> tuple[Arrays, state_dict.Matched]:
        """Return the arrays made of tensors, and the names of the tensors for each."""
        unmatched = [layer for path in self.unmatched for layer in self.stacks.layer_paths(path)]
        buffers = self.buffers()
        leaves = {**buffers, **self.stacks.layer_leaves}
        target = state_dict.Target(self._layers(), unmatched, leaves, self.shared(), list(buffers))
        loading = state_dict.match(target, tensors, selection)
        if not (strict and loading.problems):
            self._drop_parts_of_stacks(loading)
        if loading.problems and (strict or not loading.arrays):
            raise ValueError(state_dict.refusal(target, loading))
        loading.matched.problems = tuple(loading.problems)
        arrays = matching.on_device(loading.arrays, leaves)
        loaded_buffers = {path: array for path, array in arrays.items() if path in buffers}
        return {**loaded_buffers, **self.stacks.whole(arrays)}, loading.matched

    def _drop_parts_of_stacks(self, loading: state_dict.Loading) -> None:
        """Keep the values of an array that stacks layers, if not all of its layers are loaded."""
        for path in self.stacks.places:
            layers = self.stacks.layer_paths(path)
            found = [layer for layer in layers if layer in loading.arrays]
            if 0 < len(found) < len(layers):
                loading.problems.append(
                    f"{matching.dotted(path)} holds {len(layers)} layers and is loaded as a whole, got {len(found)}"
                )
                for layer in found:
                    del loading.arrays[layer], loading.matched[matching.dotted(layer)]

    def warn(self) -> None:
        """Warn the caller of a public function of the arrays without a rule."""
        self.rules.warn(self.unmatched)
