"""The arrays of a recipe from a JAX key: one program, with a part for each group of equal initializations.

Parameters whose nodes are equal but for their place form a group. A group is computed once,
under `vmap` over the keys of its members. So the program of a model with more layers of a
kind is hardly larger.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, trunc_normal, uniform
from jaxinit._recipes.flax_layout import Relayout, relayout, with_flax_axes
from jaxinit._recipes.nodes import Data, Node, Ref, initializer, is_draw, substitute
from jaxinit._recipes.operations import compute
from jaxinit._recipes.parameter import Entry, Form
from jaxinit._sampling.sharding import jit_each, resolve
from jaxinit._sampling.source import KeySource, fold_in_path, path_words
from jaxinit.distributions import Distribution, Normal, TruncatedNormal, Uniform

Nodes = Sequence[Node]

_PASSES_ENTRIES = {"to_copy", "clone", "mul", "add", "sub", "rsub", "div", "neg", "erfinv", "clamp", "clamp_min"} | {
    "clamp_max",
}


def needed(nodes: Nodes, index: int) -> set[int]:
    """Return the indices of the nodes that a node is computed from, and its own."""
    found: set[int] = set()
    pending = [index]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending.extend(nodes[one].inputs)
    return found


@dataclasses.dataclass(frozen=True)
class Program:
    """The nodes of one parameter, numbered from 0, and what is done to the last of them."""

    nodes: tuple[Node, ...]
    dtype: np.dtype
    relayout: Relayout | None
    sharding: NamedSharding | None


@dataclasses.dataclass(frozen=True)
class Member:
    """A parameter of a group, and the indices of its draws in the recipe."""

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
    for entry in entries:
        node = nodes[entry.node]
        dtype = jax.dtypes.canonicalize_dtype(form.dtype_of(jnp.dtype(node.dtype)))
        layout = relayout(entry, len(node.shape)) if form.is_flax else None
        local, draws = _local(nodes, entry.node, distributions, dtype)
        program = Program(local, dtype, layout, resolve(form.shardings[entry.name], len(node.shape)))
        groups.setdefault(program, []).append(Member(entry.name, draws))
    words = _words(groups.values())
    operands = tuple(
        np.stack([[words[draw] for draw in member.draws] for member in members]) if members[0].draws else None
        for members in groups.values()
    )
    counts = tuple((program, len(members)) for program, members in groups.items())
    constants = {node.args[0]: node.args[0].array() for each in groups for node in each.nodes if node.op == "data"}
    arrays = _compiled(counts, tuple(constants))(key, operands, tuple(constants.values()))
    members = (member.name for each in groups.values() for member in each)
    return dict(zip(members, arrays, strict=True))


def _local(
    nodes: Nodes, index: int, distributions: Sequence[Distribution | None], dtype: np.dtype
) -> tuple[tuple[Node, ...], tuple[int, ...]]:
    """Return the nodes of one parameter with draws of known distributions simplified, and which draws they are."""
    local: list[Node] = []
    draws: list[int] = []
    places: dict[int, Ref] = {}

    def visit(index: int, dtype: np.dtype | None = None) -> Ref:
        if index not in places:
            node, draw, distribution = nodes[index], _only_draw(nodes, index), distributions[index]
            if draw is not None and isinstance(distribution, Uniform | Normal | TruncatedNormal):
                drawn = node.dtype if dtype is None else dtype.name
                node = Node("draw", (_elementwise(distribution),), node.shape, drawn)
            else:
                draw = index if is_draw(node) else None
                node = dataclasses.replace(node, args=substitute(node.args, visit), target="")
            draws.extend([] if draw is None else [draw])
            local.append(node)
            places[index] = Ref(len(local) - 1)
        return places[index]

    visit(index, dtype)
    return tuple(local), tuple(draws)


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


def _words(groups: Iterable[Sequence[Member]]) -> dict[int, np.ndarray]:
    """Return the words that are folded into the key for each draw: those of the first parameter that it is in."""
    words: dict[int, np.ndarray] = {}
    for member in (member for group in groups for member in group):
        new = [draw for draw in member.draws if draw not in words]
        for place, draw in enumerate(new):
            words[draw] = path_words((member.name, *([str(place)] if place else [])))
    return words


@functools.lru_cache(maxsize=64)
def _compiled(groups: tuple[tuple[Program, int], ...], constants: tuple[Data, ...]) -> Any:
    """Return the program of all groups, compiled with its results laid out by their shardings."""
    run = functools.partial(_run, groups=groups, constants=constants)
    return jit_each(run, [program.sharding for program, count in groups for _ in range(count)])


def _run(key: jax.Array, operands: Any, values: Any, *, groups: Any, constants: Any) -> list[jax.Array]:
    given = dict(zip(constants, values, strict=True))
    results: list[jax.Array] = []
    for (program, count), words in zip(groups, operands, strict=True):
        one = functools.partial(_evaluate, program, key, given)
        if words is None or count == 1:
            results += [one(None if words is None else words[0])] * count
        else:
            stack = jax.vmap(one)(words)
            results += [stack[i] for i in range(count)]
    return results


def _evaluate(program: Program, key: jax.Array, given: Mapping[Data, jax.Array], words: Any) -> jax.Array:
    values: list[Any] = []
    drawn = 0
    for node in program.nodes:
        dtype = jax.dtypes.canonicalize_dtype(jnp.dtype(node.dtype))
        if is_draw(node):
            init, source = initializer(node), KeySource(fold_in_path(key, words[drawn]))
            values.append(init.draw(source, init.view(node.shape), dtype))
            drawn += 1
        elif node.op == "data":
            values.append(given[node.args[0]])
        else:
            values.append(compute(node, values.__getitem__, jnp, dtype))
    last = values[-1]
    array: jax.Array = last if program.relayout is None else with_flax_axes(last, program.relayout)
    return array.astype(program.dtype)
