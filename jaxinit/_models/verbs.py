"""What the functions of `jaxinit.nnx`, `linen` and `equinox` share: a model, and the source of its numbers."""

import dataclasses
import functools
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._models import by_path, matching
from jaxinit._models.loading import checkpoint, state_dict, weight_norm
from jaxinit._models.loading.refusal import refusal
from jaxinit._models.loading.selection import Globs, Rename, Selection, globs, renamed, turned
from jaxinit._models.loading.target import Target
from jaxinit._models.matching import Draw, Given, InitFn, Initializers, Match, Node, Path, Patterns
from jaxinit._models.rules import Rules, given_to_layers, with_given
from jaxinit._models.stacks import Stacks
from jaxinit._models.torch_order import replay
from jaxinit._models.torch_order.steps import Method
from jaxinit._sampling.source import KeySource
from jaxinit._torch_generator.generator import TorchGenerator

Arrays = dict[Path, jax.Array]


@dataclasses.dataclass(frozen=True)
class ModelSource:
    """Represent where the numbers of a model come from: a key, or torch's generator and a key for what has no rule."""

    key: jax.Array
    generator: TorchGenerator | None = None

    @property
    def either(self) -> jax.Array | TorchGenerator:
        """Return the generator if there is one, or the key."""
        return self.generator or self.key


def as_source(name: str, value: Any, kinds: str) -> ModelSource:
    """Return the source for a key or a TorchGenerator. `kinds` says in words what the argument `name` may be."""
    if isinstance(value, TorchGenerator):
        return ModelSource(jax.random.key(value.initial_seed() % 2**32), value)
    if not _arguments.is_key(value):
        is_torchs = (type(value).__module__, type(value).__name__) == ("torch._C", "Generator")
        hint = ". Pass jaxinit.TorchGenerator.from_state(generator.get_state())" if is_torchs else ""
        raise TypeError(f"`{name}` must be {kinds}, got {_arguments.shown(value)}{hint}")
    _arguments.check_key(value, name)
    return ModelSource(value)


class Model:
    """Represent a model: its modules with their rules, and its arrays by their paths."""

    has_torchs_names = False
    """Whether paths are torch's names, if nothing speaks for another spelling."""
    has_lists = False
    """Whether models have lists. Then `ln_1` is no entry 1 of a list `ln`, unless torch's names say so."""

    def __init__(self, nodes: Sequence[Node], stacks: Stacks, rules: Rules) -> None:
        self.nodes, self.stacks, self.rules = nodes, stacks, rules

    @functools.cached_property
    def _matching(self) -> tuple[list[Match], list[Path]]:
        return matching.matched(self.nodes, self.stacks.leaves, self.rules.of)

    @property
    def unmatched(self) -> list[Path]:
        """Return the paths of the arrays without a rule."""
        return self._matching[1]

    @property
    def unordered(self) -> Mapping[Path, str]:
        """Return the modules of which nothing shows torch's order, and the reason in words."""
        return {}

    def methods(self, generator: TorchGenerator, by_flax: Collection[Path]) -> list[Method]:
        """Return the modules that set their arrays themselves, with the generator. Arrays `by_flax` stay."""
        return []

    def shared(self) -> list[tuple[Path, Path]]:
        """Return, for each module at several paths, Flax's path and each other one."""
        return []

    @property
    def advice(self) -> str:
        """Return what the user of a state that does not fit may have left out, or an empty text."""
        return ""

    def buffers(self) -> matching.Leaves:
        """Return the arrays that are neither parameters nor running statistics, by their paths."""
        return {}

    def scales(self) -> Mapping[Path, tuple[Path, tuple[int, ...]]]:
        """Return, for each scale of a WeightNorm, the path of its weight, and its shape with the weight's axes."""
        return {}

    def initializers(self) -> Initializers:
        """Return the initializer of each array that has a rule, by its dotted path."""
        return {matching.dotted(path): init for path, init in self._draws()}

    def _draws(self) -> list[Draw]:
        return [draw for match in self._matching[0] for draw in match.draws]

    def _layers(self) -> list[Match]:
        return self.stacks.layer_matches(self._matching[0])

    def init(
        self, source: ModelSource, order: Iterable[str] | None, given: Mapping[Path, Given | None] | None = None
    ) -> Arrays:
        """Draw the arrays that have a rule, but not those that Flax draws from initializers in `given`.

        From torch's generator, methods of modules are called in their turn.
        """
        found = given_to_layers(self._matching[0], given or {})
        if source.generator is None:
            draws = [(path, init) for path, init in self._draws() if path not in found]
            return self.stacks.draw(draws, KeySource(source.key))
        by_flax = {path for path, init in found.items() if not isinstance(init, Initializer)}
        each = [with_given(match, found, self.stacks.leaves) for match in self._matching[0]]
        matches = self.stacks.layer_matches(match for match in each if match is not None)
        steps = [*matches, *self.methods(source.generator, by_flax)]
        leaves = {**self.stacks.layer_leaves, **self.buffers()}
        arrays = self.stacks.whole(replay.replay_init(steps, leaves, source.generator, order, self.unordered))
        return {path: array for path, array in arrays.items() if path not in by_flax}

    def apply(self, source: ModelSource, fn: InitFn | Patterns, only: Globs | None) -> Arrays:
        """Draw what `fn` asks for."""
        patterns = globs("only", only, self.filtered)
        matches, leaves = self._matching[0], self.stacks.leaves
        if isinstance(fn, Mapping):
            draws = by_path.asked(fn, self.nodes, leaves)
        else:
            draws = matching.asked(self.nodes, matches, leaves, fn)
        draws = matching.selected(draws, matches, leaves, patterns)
        if source.generator is None:
            return self.stacks.draw(draws, KeySource(source.key))
        model = self._layers(), self.stacks.layer_leaves, source.generator
        return self.stacks.whole(replay.replay_apply(self.stacks.layer_draws(draws), *model, self.unordered))

    def filtered(self, chosen: Any) -> Iterable[Path]:
        """Return the paths of the arrays that one of Flax's filters chooses. Raise TypeError if it is none."""
        raise NotImplementedError

    def values(self) -> Mapping[Path, Any]:
        """Return the parameters, statistics and buffers by their paths."""
        raise NotImplementedError

    def with_lists(self, names: Iterable[str]) -> "Model":
        """Return the model with the knowledge of stacks that torch's names give: a stack is a list there."""
        return self

    def load(
        self, state: checkpoint.State, rename: Rename | None, strict: bool, **patterns: Globs | None
    ) -> tuple[Arrays, state_dict.Matched]:
        """Return the arrays made of torch's tensors, and the names of the tensors for each."""
        view, target, loading = self.match(state, rename, **patterns)
        if not (strict and loading.problems):
            view.drop_parts_of_stacks(loading)
        if loading.problems and (strict or not loading.arrays):
            raise ValueError(refusal(target, loading, view.advice))
        loading.matched.problems = tuple(loading.problems)
        arrays = matching.on_device(loading.arrays, target.leaves)
        loaded_buffers = {path: array for path, array in arrays.items() if path in target.buffers}
        return {**loaded_buffers, **view.stacks.whole(arrays)}, loading.matched

    def match(
        self, state: checkpoint.State, rename: Rename | None, **patterns: Globs | None
    ) -> tuple["Model", Target, state_dict.Loading]:
        """Return the arrays made of torch's tensors on the host, the model as their names show it, and its arrays."""
        tensors = renamed(checkpoint.read(state), rename)
        view = self.with_lists(tensors)
        target = view.target()
        tensors = turned(weight_norm.merged(tensors, target), view.layer_globs("transposed", patterns["transposed"]))
        only, ignore = (view.layer_globs(name, patterns.get(name)) for name in ("only", "ignore"))
        return view, target, state_dict.match(target, tensors, Selection(only, ignore or ()))

    def torch_state(
        self, names: Iterable[str] | None, rename: Rename | None, transposed: Globs | None
    ) -> dict[str, np.ndarray]:
        """Return torch's tensors, by those of torch's `names` that `rename` maps to the names of the model."""
        if names is None and rename is not None:
            rule = f"`names` must be given with `rename`, got names=None and rename={rename!r}"
            raise ValueError(f"{rule}. Pass names=list(torch_model.state_dict())")
        renamed_names = renamed(checkpoint.without_counters({name: name for name in names or ()}), rename)
        plain = weight_norm.old_names(renamed_names)
        theirs = {plain[new]: old for new, old in renamed_names.items()}
        view = self if names is None else self.with_lists(theirs)
        target, values = view.target(), {path: np.asarray(array) for path, array in view.values().items()}
        layers = view.stacks.layers({path: values[path] for path in view.stacks.places})
        buffers = {path: values[path] for path in target.buffers}
        state = weight_norm.split(state_dict.tensors(target, {**buffers, **layers}, theirs), target, theirs)
        state = turned(state, view.layer_globs("transposed", transposed))
        if names is not None and theirs.keys() != state.keys():
            raise ValueError(
                f"`names` must be those of the model's tensors, got none of {sorted(state.keys() - theirs.keys())}, "
                f"but of others {sorted(theirs.keys() - state.keys())}"
            )
        return {theirs.get(name, name): np.array(tensor, order="C") for name, tensor in state.items()}

    def layer_globs(self, argument: str, value: Globs | None) -> tuple[str, ...] | None:
        """Return patterns of paths in which each layer of a stack has its own."""
        places = self.stacks.places
        return globs(
            argument,
            value,
            lambda chosen: [
                layer
                for path in self.filtered(chosen)
                for layer in (self.stacks.layer_paths(path) if path in places else [path])
            ],
        )

    def target(self) -> Target:
        """Return what torch's tensors are matched with."""
        unmatched = [layer for path in self.unmatched for layer in self.stacks.layer_paths(path)]
        buffers = self.buffers()
        leaves = {**buffers, **self.stacks.layer_leaves}
        more = self.shared(), list(buffers), dict(self._torchs_scales()), self.has_torchs_names, self.has_lists
        return Target(self._layers(), unmatched, leaves, *more)

    def _torchs_scales(self) -> Iterator[tuple[Path, tuple[int, ...]]]:
        """Yield the shape that each scale of a WeightNorm has in torch."""
        parameters = replay.parameters_of(self._matching[0])
        for path, (weight, shape) in self.scales().items():
            is_alike = weight not in parameters or not shape
            for layer in self.stacks.layer_paths(path) if path in self.stacks.places else [path]:
                yield layer, shape if is_alike else parameters[weight].torch_shape(shape)

    def drop_parts_of_stacks(self, loading: state_dict.Loading) -> None:
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
