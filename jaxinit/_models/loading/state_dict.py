"""Match the tensors of torch's `state_dict` with the parameters of a Flax model, name by name."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from jaxinit._models.correspondence import Layer, Shapes
from jaxinit._models.loading import casts
from jaxinit._models.loading.names import parameter_names, spelled_paths
from jaxinit._models.loading.selection import Selection
from jaxinit._models.loading.target import Target
from jaxinit._models.matching import LayerMatch, Leaves, Path, dotted


class Matched(dict[str, tuple[str, ...]]):
    """Represent the names of torch's tensors that each parameter is made of, by the parameter's path.

    `problems` has a line for each tensor or parameter that did not fit. It is empty unless `strict=False`.
    """

    problems: tuple[str, ...] = ()


def match(target: Target, state: Mapping[str, np.ndarray], selection: Selection) -> "Loading":
    """Return the arrays of the model by path, and all that is missing, left over or of a shape that does not fit."""
    loading = Loading(target.leaves, target.scales, state, selection, dict(state))
    loading.problems += _without_copies(loading.unused, target.shared)
    for match, names in target.layers(state):
        loading.assign_layer(match, names)
    # A parameter `scale` must not take the tensor of a parameter `weight` beside it.
    for path in sorted(target.parameters, key=lambda path: dotted(path) not in state):
        loading.assign_parameter(path)
    for path in target.buffers:
        loading.assign_parameter(path, is_optional=True)
    loading.drop_lossy()
    loading.drop_tied()
    selection.check(loading.names)
    loading.problems += [
        f"unexpected {name}, of shape {array.shape}"
        for name, array in loading.unused.items()
        if selection.takes([name])
    ]
    return loading


def tensors(target: Target, arrays: Mapping[Path, np.ndarray], names: Mapping[str, str]) -> dict[str, np.ndarray]:
    """Return torch's tensors made of the arrays of a model: the inverse of `match`.

    Torch's names choose among spellings, and what else than parameters torch has. They may be empty.
    """
    state: dict[str, np.ndarray] = {}
    for match, own_names in target.layers(names):
        own = match.layer.to_torch({name: arrays[match.node.at(name)] for name in match.inits})
        state |= {own_names[name]: tensor for name, tensor in own.items()}
    for path in (*target.parameters, *target.buffers):
        spelled = target.spelled(path)
        name = next((name for name in spelled if name in names), spelled[0])
        if not names or name in names or path not in target.buffers:
            state[name] = arrays[path]
    for path, other in target.shared:
        state |= {copy: state[name] for name, copy in _renamed(state, path, other) if not names or copy in names}
    return state


@dataclasses.dataclass
class Loading:
    """Represent the tensors that are still unused, the arrays made so far, and what did not fit."""

    leaves: Leaves
    scales: Mapping[Path, tuple[int, ...]]
    state: Mapping[str, np.ndarray]
    selection: Selection
    unused: dict[str, np.ndarray]
    arrays: dict[Path, np.ndarray] = dataclasses.field(default_factory=dict)
    matched: Matched = dataclasses.field(default_factory=Matched)
    problems: list[str] = dataclasses.field(default_factory=list)
    tables: list[np.ndarray] = dataclasses.field(default_factory=list)
    transposed: list[str] = dataclasses.field(default_factory=list)
    """The names of matrices that fit only if transposed."""
    square: list[str] = dataclasses.field(default_factory=list)
    """The names of square matrices in layers of torch's Linear."""

    @property
    def names(self) -> Iterator[str]:
        """Return the names that a pattern may fit: of torch's tensors, and of the model's parameters in both
        spellings.
        """
        yield from self.state
        for path in self.leaves:
            yield from map(dotted, spelled_paths(path))

    def assign_layer(self, match: LayerMatch, names: Mapping[str, str]) -> None:
        """Make each parameter of a layer that has all of its tensors."""
        shapes = match.shapes(self.leaves)
        selected = self._selected(match, names)
        self._with_axes(selected, names, shapes)
        wanted = selected.tensor_shapes(shapes)
        tensors = {own: self.unused.pop(name) for own, name in names.items() if name in self.unused}
        self._note_matrices(match, wanted, tensors, names)
        found = {own: (names[own], shape, tensors.get(own)) for own, shape in wanted.items()}
        wrong = {own: problem for own, given in found.items() for problem in _problem(*given)}
        needed = {own: tensor for own, tensor in tensors.items() if own in wanted and own not in wrong}
        nonzero = dict(_nonzero_unused(match, needed, names))
        self.problems += [*wrong.values(), *nonzero.values()]
        self._assign(match, _without_tensors(selected, {*wrong, *nonzero}), tensors, names)

    def _note_matrices(
        self, match: LayerMatch, wanted: Shapes, tensors: Mapping[str, np.ndarray], names: Mapping[str, str]
    ) -> None:
        """Note which matrices of a Linear layer may be transposed."""
        if match.layer.torch == "Linear" and "weight" in tensors and "weight" in wanted:
            shape, found = wanted["weight"], tensors["weight"].shape
            if shape == found[::-1]:
                (self.square if shape == found else self.transposed).append(names["weight"])

    def _selected(self, match: LayerMatch, names: Mapping[str, str]) -> Layer:
        """Return the layer without the parameters that are not selected."""
        taken = [
            parameter.path
            for parameter in match.layer.parameters
            if self.selection.takes(
                [
                    *map(dotted, spelled_paths(match.node.at(parameter.path))),
                    *(names[block.tensor] for block in parameter.sources),
                ]
            )
        ]
        return match.layer.within(dict.fromkeys(taken, ()))

    def _with_axes(self, layer: Layer, names: Mapping[str, str], shapes: Shapes) -> None:
        """Give the tensors of a layer the axes that the layer has, where torch may have them or not."""
        for parameter in layer.parameters:
            for name in (names[block.tensor] for block in parameter.sources):
                if name in self.unused:
                    self.unused[name] = parameter.with_axes(self.unused[name], shapes[parameter.path])

    def _assign(
        self, match: LayerMatch, layer: Layer, tensors: Mapping[str, np.ndarray], names: Mapping[str, str]
    ) -> None:
        """Make the parameters of a layer whose tensors all fit."""
        for path, array in layer.from_torch(tensors, match.shapes(self.leaves)).items():
            self.arrays[match.node.at(path)] = array
        for parameter in layer.parameters:
            own_names = dict.fromkeys(names[block.tensor] for block in parameter.sources)
            self.matched[dotted(match.node.at(parameter.path))] = tuple(own_names)
        if layer.torch == "Embedding":
            self.tables += tensors.values()

    def assign_parameter(self, path: Path, is_optional: bool = False) -> None:
        """Take the tensor of the same name and shape."""
        spelled = parameter_names(path, self.leaves[path].shape)
        name = next((name for name in spelled if name in self.unused), dotted(path))
        tensor = self.unused.pop(name, None)
        if not self.selection.takes(spelled) or (is_optional and tensor is None):
            return
        own = self.leaves[path].shape
        problems = list(_problem(name, self.scales.get(path, own), tensor))
        self.problems += problems
        if tensor is not None and not problems:
            self.arrays[path], self.matched[dotted(path)] = tensor.reshape(own), (name,)

    def drop_lossy(self) -> None:
        """Remove the arrays whose values the dtype of the model cannot hold."""
        for path, array in list(self.arrays.items()):
            name = " + ".join(self.matched[dotted(path)])
            if problems := [*casts.lost(name, array, self.leaves[path].dtype)]:
                self.problems += problems
                del self.arrays[path], self.matched[dotted(path)]

    def drop_tied(self) -> None:
        """Remove the second name of a table, as torch has for a head that is tied to an embedding."""
        for name, array in list(self.unused.items()):
            if any(np.array_equal(array, table) for table in self.tables):
                del self.unused[name]


def _without_tensors(layer: Layer, wrong: set[str]) -> Layer:
    """Return the layer without the parameters that are made of one of these tensors."""
    kept = [p.path for p in layer.parameters if not wrong & {block.tensor for block in p.sources}]
    return layer.within(dict.fromkeys(kept, ()))


def _without_copies(state: dict[str, np.ndarray], shared: Iterable[tuple[Path, Path]]) -> Iterator[str]:
    """Remove the second names of shared tensors from the state, and yield those whose values differ."""
    for path, other in shared:
        for copy, name in _renamed(state, other, path):
            if name in state and not np.array_equal(state[name], state.pop(copy)):
                yield f"{copy} and {name} must be equal, because the model has one module for both"


def _renamed(names: Iterable[str], old: Path, new: Path) -> list[tuple[str, str]]:
    """Return the names of what is at a path or below it, each with the name that it has at another path."""
    end = len(dotted(old))
    within = [name for name in names if name == dotted(old) or name.startswith(f"{dotted(old)}.")]
    return [(name, dotted(new) + name[end:]) for name in within]


def _problem(name: str, shape: tuple[int, ...], tensor: np.ndarray | None) -> Iterator[str]:
    if tensor is None:
        yield f"missing {name}, of shape {shape}"
    elif tensor.shape != shape:
        yield f"{name} must have shape {shape}, got {tensor.shape}"


def _nonzero_unused(
    match: LayerMatch, tensors: Mapping[str, np.ndarray], names: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    """Yield torch's tensors with a block that is not zero and that the layer has no parameter for.

    The new state of a GRU has one: torch adds two biases to it, and NNX's cell has one. Attention of Equinox has one
    if it was built with some of torch's biases.
    """
    count = {tensor.name: tensor.blocks for tensor in match.layer.draws}
    for block in sorted(block for block in match.layer.unused_blocks() if block.tensor in tensors):
        if np.split(tensors[block.tensor], count[block.tensor])[block.part].any():
            yield (
                block.tensor,
                f"`{names[block.tensor]}[{block.part}]` (of {count[block.tensor]} blocks) is nonzero, but {match.node} "
                f"has no such bias. {match.layer.advice}",
            )
