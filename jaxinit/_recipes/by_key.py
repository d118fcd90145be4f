"""The arrays of a recipe from a JAX key: one program, with a part for each group of equal initializations.

Parameters whose nodes are equal but for their place form a group. A group is a loop over the
keys of its members, and its result is a stack of their arrays. So the program of a model with
more layers of a kind is no larger. A small program for each group then takes its arrays apart.
If the large program did so, XLA would compile the same copy once for each layer.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, trunc_normal, uniform
from jaxinit._recipes.flax_layout import Relayout, relayout, with_flax_axes
from jaxinit._recipes.nodes import Data, Node, initializer, is_draw, needed, renumbered
from jaxinit._recipes.operations.compute import compute
from jaxinit._recipes.parameter import Entry, Form
from jaxinit._sampling.sharding import jit_each, jit_sharded, resolve
from jaxinit._sampling.source import KeySource, fold_in_path, path_words
from jaxinit.distributions import Distribution, Normal, TruncatedNormal, Uniform

Nodes = Sequence[Node]

_PASSES_ENTRIES = {"to_copy", "clone", "mul", "add", "sub", "rsub", "div", "neg", "erfinv", "clamp", "clamp_min"} | {
    "clamp_max",
}


@dataclasses.dataclass(frozen=True)
class Program:
    """Represent the nodes of one parameter, numbered from 0, and what is done to the last of them."""

    nodes: tuple[Node, ...]
    dtype: np.dtype
    relayout: Relayout | None
    sharding: NamedSharding | None

    @functools.cached_property
    def drawn(self) -> int:
        """Return the number of draws."""
        return sum(map(is_draw, self.nodes))

    def is_stacked(self, count: int) -> bool:
        """Return whether `count` arrays of this program differ, and are drawn as a stack."""
        return self.drawn > 0 and count > 1

    def sharding_of(self, count: int) -> NamedSharding | None:
        """Return the sharding of the result for `count` arrays."""
        if self.sharding is None or not self.is_stacked(count):
            return self.sharding
        return NamedSharding(self.sharding.mesh, PartitionSpec(None, *self.sharding.spec))


@dataclasses.dataclass(frozen=True)
class Member:
    """Represent a parameter of a group, and the indices of its draws in the recipe."""

    name: str
    draws: tuple[int, ...]


def sample(
    nodes: Nodes,
    entries: Sequence[Entry],
    distributions: Sequence[Distribution | None],
    form: Form,
    key: jax.Array,
) -> dict[str, jax.Array]:
    """Return the array of each entry."""
    _arguments.check_key(key)
    groups: dict[Program, list[Member]] = {}
    every: list[Member] = []
    for entry in entries:
        node = nodes[entry.node]
        dtype = jax.dtypes.canonicalize_dtype(form.dtype_of(jnp.dtype(node.dtype)))
        layout = relayout(entry, len(node.shape)) if form.is_flax else None
        local, draws = _local(nodes, entry.node, distributions, dtype)
        program = Program(local, dtype, layout, resolve(form.shardings[entry.name], len(node.shape)))
        every.append(Member(entry.name, draws))
        groups.setdefault(program, []).append(every[-1])
    of_draw = _words(every)
    drawn = [of_draw[draw] for members in groups.values() for member in members for draw in member.draws]
    words = np.array(drawn, np.uint32).reshape(-1, 2)
    counts = tuple((program, len(members)) for program, members in groups.items())
    constants = {node.args[0]: node.args[0].array() for each in groups for node in each.nodes if node.op == "data"}
    results = _compiled(counts, tuple(constants))(key, words, tuple(constants.values()))
    arrays: dict[str, jax.Array] = {}
    for (program, members), result in zip(groups.items(), results, strict=True):
        for place, member in enumerate(members):
            is_stack = program.is_stacked(len(members))
            arrays[member.name] = jit_sharded(_take, program.sharding)(result, place) if is_stack else result
    return arrays


def _local(
    nodes: Nodes, index: int, distributions: Sequence[Distribution | None], dtype: np.dtype
) -> tuple[tuple[Node, ...], tuple[int, ...]]:
    """Return the nodes of one parameter with draws of known distributions simplified, and which draws they are."""
    found: dict[int, Node] = {}
    draws: dict[int, int] = {}
    pending = [index]
    while pending:
        one = pending.pop()
        if one in found:
            continue
        draw, distribution = _only_draw(nodes, one), distributions[one]
        found[one] = dataclasses.replace(nodes[one], target="")
        if draw is not None and isinstance(distribution, Uniform | Normal | TruncatedNormal):
            drawn = dtype.name if one == index else nodes[one].dtype
            found[one] = Node("draw", (_elementwise(distribution),), nodes[one].shape, drawn)
        if is_draw(found[one]):
            draws[one] = one if draw is None else draw
        pending.extend(found[one].inputs)
    order = sorted(found)  # a node comes after its inputs
    return renumbered(found, order), tuple(draws[one] for one in order if one in draws)


def _only_draw(nodes: Nodes, index: int) -> int | None:
    """Return the draw whose entries a node passes on, each scaled, shifted and clamped, or None."""
    node = nodes[index]
    while not is_draw(node):
        if node.op == "copy":
            index = node.args[1].index
        elif node.op in _PASSES_ENTRIES or (node.op == "read" and node.args[1].is_identity):
            refs = [each for each in node.inputs if needed_draws(nodes, each)]
            if len(refs) != 1:
                return None
            index = refs[0]
        else:
            return None
        if nodes[index].shape != node.shape and node.op != "read":
            return None
        node = nodes[index]
    return index


def needed_draws(nodes: Nodes, index: int) -> list[int]:
    """Return the draws that a node is computed from, in torch's order."""
    return sorted(each for each in needed(nodes, index) if is_draw(nodes[each]))


def _elementwise(distribution: Uniform | Normal | TruncatedNormal) -> Initializer:
    match distribution:
        case Uniform(low, high):
            return uniform(low, high)
        case Normal(mean, std):
            return normal(mean, std)
        case TruncatedNormal(loc, scale, low, high):
            return trunc_normal(loc, scale, low, high)


def _words(members: Iterable[Member]) -> dict[int, np.ndarray]:
    """Return the words that are folded into the key for each draw: those of the first parameter that it is in."""
    words: dict[int, np.ndarray] = {}
    for member in members:
        new = [draw for draw in member.draws if draw not in words]
        for place, draw in enumerate(new):
            words[draw] = path_words((member.name, *([str(place)] if place else [])))
    return words


@functools.lru_cache(maxsize=64)
def _compiled(groups: tuple[tuple[Program, int], ...], constants: tuple[Data, ...]) -> Any:
    """Return the program of all groups, compiled with its results laid out by their shardings."""
    run = functools.partial(_run, groups=groups, constants=constants)
    return jit_each(run, [program.sharding_of(count) for program, count in groups])


def _run(key: jax.Array, words: jax.Array, values: Any, *, groups: Any, constants: Any) -> list[jax.Array]:
    keys = jax.vmap(fold_in_path, (None, 0))(key, words)
    given = dict(zip(constants, values, strict=True))
    results: list[jax.Array] = []
    for program, count in groups:
        one = functools.partial(_evaluate, program, given)
        mine, keys = jnp.split(keys, [count * program.drawn])
        if program.is_stacked(count):
            results.append(jax.lax.map(one, mine.reshape(count, program.drawn, *mine.shape[1:])))
        else:
            results.append(one(mine))
    return results


def _take(stack: jax.Array, place: jax.Array) -> jax.Array:
    taken: jax.Array = jax.lax.dynamic_index_in_dim(stack, place, keepdims=False)
    return taken


def _evaluate(program: Program, given: Mapping[Data, jax.Array], keys: jax.Array) -> jax.Array:
    values: list[Any] = []
    drawn = 0
    for node in program.nodes:
        dtype = jax.dtypes.canonicalize_dtype(jnp.dtype(node.dtype))
        if is_draw(node):
            init = initializer(node)
            values.append(init.draw(KeySource(keys[drawn]), init.view(node.shape), dtype))
            drawn += 1
        elif node.op == "data":
            values.append(given[node.args[0]])
        else:
            values.append(compute(node, values.__getitem__, jnp, dtype))
    last = values[-1]
    array: jax.Array = last if program.relayout is None else with_flax_axes(last, program.relayout)
    return array.astype(program.dtype)
