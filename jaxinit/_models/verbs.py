"""What the functions of `jaxinit.nnx` and of `jaxinit.linen` have in common."""

import abc
import dataclasses
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import jax

from jaxinit import _arguments
from jaxinit._models import matching, state_dict, torch_order
from jaxinit._models.matching import Draw, Init, Match, Node, Path
from jaxinit._models.rules import Rules
from jaxinit._models.stacks import Stacks
from jaxinit._sampling.source import KeySource
from jaxinit._torch_generator.generator import TorchGenerator

Arrays = dict[Path, jax.Array]


class Model:
    """A Flax model: its modules with their rules, and its arrays by their paths."""

    def __init__(self, nodes: Sequence[Node], stacks: Stacks, rules: Rules) -> None:
        self.nodes, self.stacks, self.rules = nodes, stacks, rules

    @functools.cached_property
    def _matching(self) -> tuple[list[Match], list[Path]]:
        return matching.matched(self.nodes, self.stacks.leaves, self.rules.find)

    @property
    def matches(self) -> list[Match]:
        """The modules that have a rule."""
        return self._matching[0]

    @property
    def unmatched(self) -> list[Path]:
        """The paths of the arrays without a rule."""
        return self._matching[1]

    @property
    def sorted(self) -> Sequence[Path]:
        """The modules whose attributes Flax sorted, so that torch's order is lost."""
        return ()

    @property
    def shared(self) -> Sequence[tuple[Path, Path]]:
        """For each module at several paths, its first path and each other one."""
        return ()

    def initializers(self) -> dict[str, Init]:
        """Return the initializer of each array that has a rule, by its dotted path."""
        return {matching.dotted(path): init for match in self.matches for path, init in match.draws}

    def init(self, source: "ModelSource", order: Iterable[str] | None) -> Arrays:
        """Draw the arrays that have a rule."""
        return source.init(self, order)

    def apply(self, source: "ModelSource", fn: Callable[[Any], Any], only: str | None) -> Arrays:
        """Draw what `fn` asks for."""
        draws = matching.selected(self.nodes, self.matches, self.stacks.leaves, fn, only)
        return source.apply(self, draws)

    def load(self, state: state_dict.State) -> tuple[Arrays, state_dict.Matched]:
        """Return the arrays made of torch's tensors, and which tensors each is made of."""
        stacks = self.stacks
        unmatched = [layer for path in self.unmatched for layer in stacks.layer_paths(path)]
        arrays, names = state_dict.match(
            stacks.layer_matches(self.matches),
            unmatched,
            stacks.layer_leaves,
            state_dict.read(state),
            self.shared,
        )
        return stacks.whole(arrays), names


class ModelSource(abc.ABC):
    """Where the numbers of a model come from, and in which order it is drawn."""

    key: jax.Array
    """The key for what Flax draws itself."""

    @abc.abstractmethod
    def init(self, model: Model, order: Iterable[str] | None) -> Arrays:
        """Draw the arrays that have a rule."""

    @abc.abstractmethod
    def apply(self, model: Model, draws: Sequence[Draw]) -> Arrays:
        """Draw the arrays at the paths."""

    @abc.abstractmethod
    def at(self, path: Path, of_key: Callable[[jax.Array], Any]) -> Any:
        """Return what a method of a user's module draws from: a generator, or what `of_key` makes of a key."""


@dataclasses.dataclass(frozen=True)
class FromKey(ModelSource):
    """A JAX key: each array has a key of its own, so the order does not matter."""

    key: jax.Array

    def init(self, model: Model, order: Iterable[str] | None) -> Arrays:
        return self.apply(model, [draw for match in model.matches for draw in match.draws])

    def apply(self, model: Model, draws: Sequence[Draw]) -> Arrays:
        return model.stacks.draw(draws, KeySource(self.key))

    def at(self, path: Path, of_key: Callable[[jax.Array], Any]) -> Any:
        return of_key(KeySource(self.key).at(path).key)


@dataclasses.dataclass(frozen=True)
class FromGenerator(ModelSource):
    """A TorchGenerator: arrays are drawn layer after layer, as torch builds them."""

    generator: TorchGenerator
    key: jax.Array

    def init(self, model: Model, order: Iterable[str] | None) -> Arrays:
        matches, leaves = model.stacks.layer_matches(model.matches), model.stacks.layer_leaves
        return model.stacks.whole(torch_order.replay_init(matches, leaves, self.generator, order, model.sorted))

    def apply(self, model: Model, draws: Sequence[Draw]) -> Arrays:
        matches, leaves = model.stacks.layer_matches(model.matches), model.stacks.layer_leaves
        draws = model.stacks.layer_draws(draws)
        return model.stacks.whole(torch_order.replay_apply(draws, matches, leaves, self.generator, model.sorted))

    def at(self, path: Path, of_key: Callable[[jax.Array], Any]) -> Any:
        return self.generator


def as_source(name: str, value: Any, kinds: str) -> ModelSource:
    """Return the source that `value`, a key or a TorchGenerator, stands for. `kinds` says in words what is allowed."""
    if isinstance(value, TorchGenerator):
        return FromGenerator(value, jax.random.key(value.initial_seed() % 2**32))
    if not _arguments.is_key(value):
        raise TypeError(f"`{name}` must be {kinds}, got {value!r}")
    _arguments.check_key(value, name)
    return FromKey(value)
