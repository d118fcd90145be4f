"""The function `jaxinit.record`."""

import bisect
import dataclasses
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from jaxinit import _arguments
from jaxinit._recipes.nodes import Data, Node, is_draw, needed, renumbered
from jaxinit._recipes.parameter import Entry
from jaxinit._recipes.recipe import Recipe

_MOST_NAMED = 5


def record(build: Callable[[], Any], *, constants: Literal["refuse", "allow"] = "refuse") -> Recipe:
    """Return how a torch model initializes itself, without drawing it.

    `build` runs on tensors that need no memory. Each thing that it does to a parameter or buffer is
    recorded: calls of `torch.nn.init`, methods of tensors, writes to slices, and constants.

    Args:
        build: called without arguments. Return a `torch.nn.Module`, on the CPU.
        constants: what to do with a parameter that a recipe cannot express. `"refuse"` raises an error.
            `"allow"` runs `build` again with memory, and keeps the values that the parameter has then.

    Raises:
        TypeError: `build` does not return a torch module.
        ValueError: some parameters are not initialized, or in a way that a recipe cannot express. The message
            names them and the calls.
        ImportError: torch is not installed.

    Example:
        >>> print(jaxinit.record(lambda: torch.nn.LayerNorm(8)))
        parameter  shape  dtype    module     initialization
        weight     (8,)   float32  LayerNorm  1
        bias       (8,)   float32  LayerNorm  0
        2 parameters; 16 entries in parameters, initialized in 2 ways

    Differs from torch's own deferred initialization on the device meta: the result needs no torch to run.
    """
    _arguments.choice("constants", constants, ("refuse", "allow"))
    if not callable(build):
        raise TypeError(f"`build` must be a function that returns a torch module, got {build!r}")
    try:
        from jaxinit._recipes.recording import run
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise ImportError("`record` needs torch. Install it with: pip install 'jaxinit[torch]'") from None

    nodes, entries = run.run(build)
    if wrong := _inexpressible(nodes, entries):
        if constants == "refuse":
            raise ValueError(_refusal(wrong))
        nodes, entries = _with_constants(nodes, entries, run.values(build, [entry.name for entry, _ in wrong]))
    return Recipe(*_pruned(nodes, entries))


def _inexpressible(nodes: list[Node], entries: list[Entry]) -> list[tuple[Entry, str]]:
    """Return the entries that depend on what a recipe cannot express, and why."""
    found = []
    for entry in entries:
        used = [nodes[index] for index in sorted(needed(nodes, entry.node))]
        unknown = [str(node.args[0]) for node in used if node.op in ("unknown", "unknown draw")]
        if unknown:
            found.append((entry, unknown[0]))
        elif any(node.op == "empty" for node in used) and not _is_covered(nodes, entry.node):
            found.append((entry, "some entries are never initialized"))
    return found


def _is_covered(nodes: list[Node], index: int) -> bool:
    """Return whether writes cover every entry of an uninitialized tensor."""
    writes = []
    while nodes[index].op == "write":
        writes.append(nodes[index])
        index = nodes[index].args[0].index
    if nodes[index].op != "empty":
        return all(_is_covered(nodes, each) for each in nodes[index].inputs)
    written = np.zeros(nodes[index].shape, bool)
    for node in writes:
        written = node.args[1].write(written, np.ones(node.args[1].size, bool))
    return bool(written.all()) and all(_is_covered(nodes, node.args[2].index) for node in writes)


def _refusal(wrong: list[tuple[Entry, str]]) -> str:
    named = [f"{entry.name}: {reason}" for entry, reason in wrong[:_MOST_NAMED]]
    count = f"{len(wrong)} parameter{'s' * (len(wrong) > 1)}"
    more = [f"and {len(wrong) - _MOST_NAMED} more"] if len(wrong) > _MOST_NAMED else []
    return "\n  ".join(
        [
            f"`build` initializes {count} in a way that a recipe cannot express. "
            'Pass constants="allow" to keep the values that they have in one run, or change the calls:',
            *named,
            *more,
        ]
    )


def _with_constants(nodes: list[Node], entries: list[Entry], values: dict[str, Data]) -> tuple[list[Node], list[Entry]]:
    """Return the nodes with one more for each entry that has values, and the entries that end there."""
    places = {name: len(nodes) + place for place, name in enumerate(values)}
    constants = [Node("data", (data,), data.shape, data.dtype) for data in values.values()]
    moved = [dataclasses.replace(entry, node=places.get(entry.name, entry.node)) for entry in entries]
    return [*nodes, *constants], moved


def _pruned(nodes: list[Node], entries: list[Entry]) -> tuple[tuple[Node, ...], tuple[Entry, ...]]:
    """Return the nodes that an entry needs or that take numbers from the generator, and the entries."""
    kept = {index for index, node in enumerate(nodes) if is_draw(node) or node.op == "unknown draw"}
    for entry in entries:
        kept |= needed(nodes, entry.node) - kept
    order = sorted(kept)
    moved = tuple(dataclasses.replace(entry, node=bisect.bisect_left(order, entry.node)) for entry in entries)
    return renumbered(nodes, order), moved
