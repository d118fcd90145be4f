"""Nodes: what a torch model's constructor did, as values that compare, hash and print."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from jaxinit._initializers.base import Initializer

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Ref:
    """Represent the result of the node at `index`, as an argument of a later node."""

    index: int


@dataclasses.dataclass(frozen=True)
class Data:
    """Represent the values of a constant tensor, as bytes in row-major order."""

    content: bytes = dataclasses.field(repr=False)
    shape: Shape
    dtype: str

    def array(self) -> np.ndarray:
        """Return the values as an array that cannot be written to."""
        return np.frombuffer(self.content, jnp.dtype(self.dtype)).reshape(self.shape)


@dataclasses.dataclass(frozen=True)
class Node:
    """Represent a tensor, and the operation that gives its values.

    Args:
        op: `draw`, `data`, or a name of `operations`.
        args: numbers, texts, `Ref`s, and tuples of these. For `draw` an initializer, for `data` the values.
        shape: the shape of the tensor.
        dtype: its dtype, by name.
        target: the parameter that torch wrote a draw to, if any.
    """

    op: str
    args: tuple[Any, ...]
    shape: Shape
    dtype: str
    target: str = ""

    @property
    def inputs(self) -> tuple[int, ...]:
        """Return the indices of the nodes that this one is computed from."""
        return tuple(_refs(self.args))

    def call(self) -> str:
        """Return the operation as text."""
        match self.op, self.args:
            case "draw", (init, *_):
                return repr(init).removeprefix("jaxinit.").replace(", layout=jaxinit.TORCH", "")
            case "data", _:
                return "constant values"
            case "full", (number,):
                return f"fill({number})"
            case ("read", (_, region)) | ("write", (_, region, _)):
                return f"{self.op}({region})"
        literals = ", ".join(repr(each) for each in self.args if not isinstance(each, Ref))
        return f"{self.op}({literals})"


def _refs(args: Any) -> list[int]:
    if isinstance(args, Ref):
        return [args.index]
    return [index for each in args for index in _refs(each)] if isinstance(args, tuple) else []


def is_draw(node: Node) -> bool:
    """Return whether the node takes numbers from the generator."""
    return node.op == "draw"


def initializer(node: Node) -> Initializer:
    """Return the initializer of a node that draws."""
    init: Initializer = node.args[0]
    return init


def substitute(args: Any, value: Any) -> Any:
    """Return the arguments with `value(index)` for every `Ref`."""
    if isinstance(args, Ref):
        return value(args.index)
    return tuple(substitute(each, value) for each in args) if isinstance(args, tuple) else args


def needed(nodes: Sequence[Node], index: int) -> set[int]:
    """Return the indices of the nodes that a node is computed from, and its own."""
    found: set[int] = set()
    pending = [index]
    while pending:
        one = pending.pop()
        if one not in found:
            found.add(one)
            pending.extend(nodes[one].inputs)
    return found


def renumbered(nodes: Sequence[Node] | Mapping[int, Node], order: Sequence[int]) -> tuple[Node, ...]:
    """Return the nodes at `order`, numbered from 0."""
    place = {index: Ref(new) for new, index in enumerate(order)}
    chosen = (nodes[index] for index in order)
    return tuple(dataclasses.replace(node, args=substitute(node.args, place.__getitem__)) for node in chosen)
