"""What NNX and Linen models have in common: modules in a tree, and arrays at their paths."""

import dataclasses
import fnmatch
import hashlib
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxinit._initializers.base import Initializer
from jaxinit._models.correspondence import Layer, Shapes
from jaxinit._sampling.sharding import device_put

Path = tuple[str, ...]
Leaves = Mapping[Path, jax.ShapeDtypeStruct]
Draw = tuple[Path, Callable[..., jax.Array]]
"""Where an array is, and the initializer that draws it; any callable of JAX's protocol."""


class MissingParameterError(KeyError):
    """A layer has no parameter of the name that a rule looks for: it keeps its parameters elsewhere."""


class _Own(dict[str, tuple[int, ...]]):
    """The shapes of a module's arrays by their paths within it."""

    def __missing__(self, name: str) -> tuple[int, ...]:
        raise MissingParameterError(name)


@dataclasses.dataclass(frozen=True)
class Node:
    """A module of the model, and where it is."""

    path: Path
    module: Any

    def own(self, leaves: Leaves) -> _Own:
        """The shapes of the arrays in it and below it."""
        depth = len(self.path)
        below = {path[depth:]: leaf.shape for path, leaf in leaves.items() if path[:depth] == self.path}
        return _Own({dotted(path): shape for path, shape in below.items()})

    def at(self, name: str) -> Path:
        return (*self.path, *name.split("."))

    def __str__(self) -> str:
        return f"{dotted(self.path) or 'the model'} ({type(self.module).__name__})"


@dataclasses.dataclass(frozen=True)
class Match:
    """A module that jaxinit can initialise: by torch's layer, or by initializers that were registered for it."""

    node: Node
    inits: Mapping[str, Callable[..., jax.Array]]
    layer: Layer | None = None

    @property
    def draws(self) -> list[Draw]:
        return [(self.node.at(name), init) for name, init in self.inits.items()]


def dotted(path: Path) -> str:
    return ".".join(path)


def matched(nodes: Sequence[Node], leaves: Leaves, rule_of: Callable[[Any], Any]) -> tuple[list[Match], list[Path]]:
    """The modules that some rule knows, in the order of `nodes`, and the paths of the arrays that none claims.

    A module's rule speaks for the modules below it too, so outer ones are asked first.
    """
    free, found = dict(leaves), {}
    # Of two modules at one path the outer one comes later in `nodes`.
    for index, node in sorted(enumerate(nodes), key=lambda item: (len(item[1].path), -item[0])):
        rule, unclaimed = rule_of(node.module), node.own(free)
        answer = _ask(rule, node.own(leaves), unclaimed, node) if rule is not None and unclaimed else None
        if answer is not None:
            found[index] = answer
            for name in answer.inits:
                free.pop(node.at(name))
    return [found[index] for index in sorted(found)], list(free)


def _ask(rule: Any, shapes: Shapes, unclaimed: Shapes, node: Node) -> Match | None:
    """What the rule says of those parameters that no outer module has claimed."""
    try:
        layer = rule(shapes, node.module)
    except MissingParameterError:
        return None
    if layer is None:
        return None
    if isinstance(layer, Layer):
        within = layer.within(unclaimed)
        return Match(node, within.initializers(), within)
    inits = validated("rule", layer, node, shapes)
    return Match(node, {name: init for name, init in inits.items() if name in unclaimed})


def selected(
    nodes: Iterable[Node], found: Sequence[Match], leaves: Leaves, fn: Callable[[Any], Any], only: str | None
) -> list[Draw]:
    """What `fn` wants drawn, module by module, at the paths that match `only`.

    The parts of a layer that torch has as one module, such as the gates of a GRU, are not asked.
    """
    if not callable(fn):
        raise TypeError(f"`fn` must be a function of a module, got {fn!r}")
    if not isinstance(only, str | None):
        raise TypeError(f"`only` must be a pattern as a string, got {only!r}")
    draws: list[Draw] = []
    wholes = {one.node.path for one in found if one.layer is not None}
    for node in nodes:
        if node.path not in wholes and any(node.path[:end] in wholes for end in range(len(node.path))):
            continue
        answer = fn(node.module)
        if answer is not None:
            inits = validated("fn", answer, node, node.own(leaves))
            draws += [(node.at(name), init) for name, init in inits.items()]
    kept = [(path, init) for path, init in draws if only is None or matches(path, only)]
    if only is not None and not any(matches(path, only) for path in leaves):
        raise ValueError(f"`only` must match the path of a parameter, got {only!r}; there are {_listed(leaves)}")
    return kept


def matches(path: Path, pattern: str) -> bool:
    """Whether the path, or that of a module which it lies in, matches a pattern of the shell's kind."""
    return any(fnmatch.fnmatchcase(dotted(path[:end]), pattern) for end in range(1, len(path) + 1))


def validated(name: str, answer: Any, node: Node, shapes: Mapping[str, Any]) -> Mapping[str, Callable[..., jax.Array]]:
    """Initializers by the names of a module's parameters, or an error."""
    if not isinstance(answer, Mapping) or not all(callable(init) for init in answer.values()):
        raise TypeError(f"`{name}` must return a dict of initializers for {node}, or None, got {answer!r}")
    for parameter in answer:
        if parameter not in shapes:
            raise ValueError(f"`{name}` must name parameters of {node}, {_listed(shapes)}, got {parameter!r}")
    return answer


def _listed(paths: Iterable[Path | str]) -> str:
    return ", ".join(path if isinstance(path, str) else dotted(path) for path in paths) or "none"


def draw(draws: Sequence[Draw], leaves: Leaves, key: jax.Array) -> dict[Path, jax.Array]:
    """The arrays at the paths; of two for one path the last."""
    return {path: _drawn(init, key_at(key, path), leaves[path], path) for path, init in dict(draws).items()}


def laid_out(arrays: Mapping[Path, np.ndarray], leaves: Leaves) -> dict[Path, jax.Array]:
    """The arrays of the host, each in the dtype and on the devices of its leaf."""
    cast = {path: np.asarray(array, leaves[path].dtype) for path, array in arrays.items()}
    return {path: device_put(array, leaves[path].sharding) for path, array in cast.items()}


def _drawn(init: Callable[..., jax.Array], key: jax.Array, leaf: jax.ShapeDtypeStruct, path: Path) -> jax.Array:
    is_ours = isinstance(init, Initializer)
    try:
        array = init(key, leaf.shape, leaf.dtype, leaf.sharding) if is_ours else init(key, leaf.shape, leaf.dtype)
    except Exception as error:  # raised again, whatever it is, with its place
        error.add_note(f"while drawing {dotted(path)}, an array of shape {leaf.shape}")
        raise
    if (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
        raise ValueError(
            f"the initializer of {dotted(path)} must return {leaf.dtype}{list(leaf.shape)}, "
            f"got {array.dtype}{list(array.shape)}"
        )
    return array if is_ours else device_put(array, leaf.sharding)


def key_at(key: jax.Array, path: Path) -> jax.Array:
    """The key of one array: the model's, with 64 bits of the path's hash folded in.

    So that a layer more or less changes no other layer's numbers.
    """
    digest = hashlib.sha256("/".join(path).encode()).digest()
    for word in np.frombuffer(digest[:8], "<u4"):
        key = jax.random.fold_in(key, word)
    return key


def warn_unknown(paths: Iterable[Path], how: str) -> None:
    """Says which arrays were left as they are."""
    listed = sorted({dotted(path) for path in paths})
    if listed:
        warnings.warn(f"left as built, for no rule knows their layers: {', '.join(listed)}; {how}", stacklevel=4)


def spec_of(array: Any) -> jax.ShapeDtypeStruct:
    """Shape, dtype and, where it has one on a mesh, sharding of an array, concrete or abstract."""
    sharding = getattr(array, "sharding", None)
    is_on_mesh = isinstance(sharding, jax.sharding.NamedSharding) and not sharding.mesh.empty
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding if is_on_mesh else None)
