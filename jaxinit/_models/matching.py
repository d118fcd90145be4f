"""Modules in a tree, the arrays at their paths, and the rule that says what each array is drawn from."""

import dataclasses
import fnmatch
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import NamedSharding

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._models.correspondence import Layer, Shapes
from jaxinit._sampling.sharding import device_put, explicit
from jaxinit._sampling.source import Source
from jaxinit.layouts import FLAX, Layout

Path = tuple[str, ...]
Leaves = Mapping[Path, jax.ShapeDtypeStruct]
Init = Callable[..., jax.Array]
"""An initializer of jaxinit, or any callable of JAX's protocol `(key, shape, dtype)`."""
Initializers = Mapping[str, Init]
"""Initializers by the names of parameters."""
Given = Mapping[str, Any]
"""Initializers that a module was given, by the names of its arguments such as `kernel_init`."""
InitFn = Callable[[Any], Initializers | None]
"""A function of a module, as in torch's `model.apply(init_weights)`."""
Patterns = Mapping[str, Init | None]
"""Initializers by patterns of paths, and None for arrays that stay."""
Draw = tuple[Path, Init]
"""The path of an array, and the initializer that draws it."""
Rule = Callable[[Shapes, Any], Layer | Initializers | None]
"""From the shapes of a module's parameters and the module: how to draw them, or None if the rule does not apply."""


class MissingParameterError(KeyError):
    """Signal that a module lacks a parameter that its rule reads: a subclass may name its parameters otherwise."""


class _ShapesWithin(dict[str, tuple[int, ...]]):
    def __missing__(self, name: str) -> tuple[int, ...]:
        raise MissingParameterError(name)


@dataclasses.dataclass(frozen=True)
class Node:
    """Represent a module of the model and its path."""

    path: Path
    module: Any

    def shapes(self, leaves: Leaves) -> Shapes:
        """Return the shapes of the arrays in the module and below it, by their paths within it."""
        depth = len(self.path)
        below = {path[depth:]: leaf.shape for path, leaf in leaves.items() if path[:depth] == self.path}
        return _ShapesWithin({dotted(path): shape for path, shape in below.items()})

    def at(self, name: str) -> Path:
        """Return the path of the module's parameter `name`, such as `"inner.kernel"`."""
        return (*self.path, *name.split("."))

    def __str__(self) -> str:
        return f"{dotted(self.path) or 'the model'} ({type(self.module).__name__})"


@dataclasses.dataclass(frozen=True)
class Match:
    """Represent a module, and the initializers of those of its parameters that its rule covers."""

    node: Node
    inits: Initializers

    @property
    def draws(self) -> list[Draw]:
        """Return the initializer of each parameter by its path in the model."""
        return [(self.node.at(name), init) for name, init in self.inits.items()]

    @property
    def paths(self) -> list[Path]:
        """Return the path of each parameter in the model."""
        return [path for path, _ in self.draws]

    def shapes(self, leaves: Leaves) -> Shapes:
        """Return the shapes of these parameters, by their paths within the module."""
        return {name: leaves[self.node.at(name)].shape for name in self.inits}


@dataclasses.dataclass(frozen=True)
class RuleMatch(Match):
    """Represent a module with initializers from a registered rule, or from its own method in Linen."""


@dataclasses.dataclass(frozen=True)
class LayerMatch(Match):
    """Represent a module that corresponds to one of torch's layers."""

    layer: Layer
    could_have: tuple[str, ...] = ()
    """The names of all parameters that such a layer may have, such as a bias."""
    is_replaced: bool = False
    """Whether rules of the module's own class draw all of the layer, in place of the layer's own draws."""

    @property
    def given(self) -> Initializers:
        """Return the initializers that are not the layer's own. torch draws from these after the whole layer."""
        own = self.layer.initializers()
        return {name: init for name, init in self.inits.items() if init != own[name]}

    @property
    def layouts(self) -> list[tuple[Path, Layout]]:
        """Return the layout of each weight by its path in the model."""
        parameters = self.layer.parameters
        return [(self.node.at(each.path), each.layout) for each in parameters if each.layout is not None]

    @property
    def apart(self) -> list["LayerMatch"]:
        """Return the parts of the module, where torch may have a layer for each of them."""
        return [
            LayerMatch(Node(self.node.at(name), self.node.module), layer.initializers(), layer)
            for name, layer in self.layer.apart.items()
        ]


def dotted(path: Path) -> str:
    return ".".join(path)


def matched(
    nodes: Sequence[Node], leaves: Leaves, rules_of: Callable[[Any], Iterable[Rule]]
) -> tuple[list[Match], list[Path]]:
    """Return what the rules of each module draw, and the paths of the arrays that no rule draws.

    Where several name an array, the last one counts. Inner modules come first, and base classes before subclasses.
    The parts of a layer that is one module in torch, such as the gates of a GRU, have no match.
    """
    found: dict[int, list[Match]] = {}
    parts: set[Path] = set()
    # Linen's share_scope puts two modules at one path. The outer one comes later in `nodes`.
    for index, node in sorted(enumerate(nodes), key=lambda item: (len(item[1].path), -item[0])):
        found[index] = list(_matches(node, rules_of(node.module), leaves, parts))[::-1]
    matches = [match for index in sorted(found) for match in found[index]]
    layouts = {path: layout for match in matches if isinstance(match, LayerMatch) for path, layout in match.layouts}
    matches = [_in_layers(match, layouts) for match in matches]
    drawn = {path for match in matches for path in match.paths}
    return matches, [path for path in leaves if path not in drawn]


def _matches(node: Node, rules: Iterable[Rule], leaves: Leaves, parts: set[Path]) -> Iterator[Match]:
    """Yield the match of each rule of a module, the nearest class first, and add the arrays of layers to `parts`."""
    shapes, drawn = node.shapes(leaves), set[str]()
    for rule in rules:
        free = [name for name in shapes if node.at(name) not in parts]
        try:
            answer = rule(shapes, node.module) if free else None
        except MissingParameterError:
            continue
        if answer is None:  # no rule, and none of a base class either
            return
        match = _match(answer, shapes, free, node)
        if isinstance(match, LayerMatch):
            parts |= set(match.paths)
            match = dataclasses.replace(match, is_replaced=drawn.issuperset(match.inits))
        if match is not None:
            drawn |= set(match.inits)
            yield match


def _match(answer: Layer | Initializers, shapes: Shapes, free: Iterable[str], node: Node) -> Match | None:
    """Return the answer of a rule for those parameters that are no parts of one of torch's layers."""
    if isinstance(answer, Layer):
        layer = answer.within(dict.fromkeys(free, ()))
        could_have = tuple(parameter.path for parameter in answer.parameters)
        return LayerMatch(node, layer.initializers(), layer, could_have) if layer.parameters else None
    inits = validated("rule", answer, node, shapes)
    return RuleMatch(node, {name: init for name, init in inits.items() if name in free})


def _in_layers(match: Match, layouts: Mapping[Path, Layout]) -> Match:
    """Return the match of a rule with the layouts of the layers that it draws for."""
    if isinstance(match, LayerMatch):
        return match
    inits = {name: _in_layer(init, layouts.get(match.node.at(name))) for name, init in match.inits.items()}
    return dataclasses.replace(match, inits=inits)


def asked(nodes: Iterable[Node], matches: Sequence[Match], leaves: Leaves, fn: InitFn) -> list[Draw]:
    """Return the draws that `fn` asks for, module by module.

    `fn` is not called with the parts of a layer that is one module in torch, such as the gates of a GRU.
    """
    if not callable(fn):
        raise TypeError(f"`fn` must be a function of a module or a dict of initializers by paths, got {fn!r}")
    draws: list[Draw] = []
    layers = {match.node.path: match for match in matches if isinstance(match, LayerMatch)}
    could_have = {match.node.at(name) for match in layers.values() for name in match.could_have}
    for node in nodes:
        answer = None if _is_part(node, layers, leaves) else fn(node.module)
        if answer is not None:
            inits = validated("fn", answer, node, node.shapes(leaves), could_have)
            draws += [(node.at(name), init) for name, init in inits.items()]
    return draws


def selected(draws: Iterable[Draw], matches: Iterable[Match], leaves: Leaves, only: Sequence[str] | None) -> list[Draw]:
    """Return the draws at the paths that match a pattern of `only`.

    An initializer with the default layout gets the layout of the layer that it draws for.
    """
    layouts = {path: layout for match in matches if isinstance(match, LayerMatch) for path, layout in match.layouts}
    draws = [(path, _in_layer(init, layouts.get(path))) for path, init in draws]
    if only is None:
        return draws
    for pattern in only:
        if not any(fits(path, pattern) for path in leaves):
            raise ValueError(f"`only` must match the path of a parameter, got {pattern!r}. Paths are {_listed(leaves)}")
    return [(path, init) for path, init in draws if any(fits(path, pattern) for pattern in only)]


def _is_part(node: Node, layers: Mapping[Path, LayerMatch], leaves: Leaves) -> bool:
    """Return whether the module is a part of one of torch's modules, and not a module in torch itself."""
    outer = next((layers[node.path[:end]] for end in range(len(node.path)) if node.path[:end] in layers), None)
    if outer is None or dotted(node.path[len(outer.node.path) :]) in outer.layer.modules:
        return False
    drawn = {path for path, _ in outer.draws}
    return all(node.at(name) in drawn for name in node.shapes(leaves))


def _in_layer(init: Init, layout: Layout | None) -> Init:
    """Return an initializer with the layout of a layer in place of the default one, in its parts too."""
    if layout is None or not isinstance(init, Initializer):
        return init
    return init.with_layouts(lambda own: layout if own == FLAX else own)


def fits(path: Path, pattern: str) -> bool:
    """Return whether a shell pattern matches the path or the path of a module around it."""
    return any(fnmatch.fnmatchcase(dotted(path[:end]), pattern) for end in range(1, len(path) + 1))


def validated(name: str, answer: Any, node: Node, shapes: Shapes, could_have: Collection[Path] = ()) -> Initializers:
    """Return `answer`, which holds initializers by the names of a module's parameters.

    The parameters that the module could have and lacks, such as a bias, are left out.
    """
    if not isinstance(answer, Mapping) or not all(callable(init) for init in answer.values()):
        raise TypeError(f"`{name}` must return a dict of initializers for {node}, or None, got {answer!r}")
    for parameter in answer:
        if parameter not in shapes and node.at(parameter) not in could_have:
            raise ValueError(f"`{name}` must name parameters of {node}, {_listed(shapes)}, got {parameter!r}")
    return {parameter: init for parameter, init in answer.items() if parameter in shapes}


def _listed(paths: Iterable[Path | str]) -> str:
    return ", ".join(path if isinstance(path, str) else dotted(path) for path in paths) or "none"


def draw(draws: Sequence[Draw], leaves: Leaves, source: Source) -> dict[Path, jax.Array]:
    """Draw the array at each path, from the last initializer that names it."""
    return {path: _drawn(init, source.at(path), leaves[path], path) for path, init in dict(draws).items()}


def _drawn(init: Init, source: Any, leaf: jax.ShapeDtypeStruct, path: Path) -> jax.Array:
    is_ours = isinstance(init, Initializer)
    try:
        # Initializers of others take a key and no sharding.
        more = (leaf.sharding,) if is_ours else ()
        array = init(source if is_ours else source.key, leaf.shape, leaf.dtype, *more)
    except Exception as error:  # raised again, whatever it is, with its place
        error.add_note(f"while drawing {dotted(path)}, an array of shape {leaf.shape}")
        raise
    if (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
        raise ValueError(
            f"the initializer of {dotted(path)} must return {leaf.dtype}{list(leaf.shape)}, "
            f"got {array.dtype}{list(array.shape)}"
        )
    return array if is_ours else device_put(array, leaf.sharding)


def on_device(arrays: Mapping[Path, np.ndarray], leaves: Leaves) -> dict[Path, jax.Array]:
    """Return host arrays as JAX's, each in the dtype and with the sharding of its leaf."""
    cast = {path: np.asarray(array, leaves[path].dtype) for path, array in arrays.items()}
    return {path: device_put(array, leaves[path].sharding) for path, array in cast.items()}


def array_in(leaf: Any) -> Any:
    """Return the array in a variable or a box of Flax's, concrete or abstract, or the array itself."""
    (array,) = jax.tree.leaves(leaf)
    return array


def spec_of(leaf: Any, mesh: Any, axes: jax.sharding.PartitionSpec | None) -> jax.ShapeDtypeStruct:
    """Return the shape and dtype of an array, with its sharding or else with the `axes` of `mesh` that it asks for."""
    array = array_in(leaf)
    sharding = explicit(array) if _arguments.is_traced(array) else getattr(array, "sharding", None)
    if not isinstance(sharding, NamedSharding) or sharding.mesh.empty:
        sharding = None if mesh.empty or axes is None else NamedSharding(mesh, axes)
    return jax.ShapeDtypeStruct(array.shape, array.dtype, sharding=sharding)
