"""Load torch's `state_dict` into a Flax model, name by name: all of it or nothing."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxinit._models.correspondence import Shapes
from jaxinit._models.loading.names import candidate_names, spelled_paths
from jaxinit._models.matching import LayerMatch, Leaves, Match, Path, dotted, on_device

Matched = dict[str, tuple[str, ...]]


def match(
    matches: Sequence[Match],
    unmatched: Iterable[Path],
    leaves: Leaves,
    state: Mapping[str, np.ndarray],
    shared: Iterable[tuple[Path, Path]] = (),
) -> tuple[dict[Path, jax.Array], Matched]:
    """Return the arrays of the model by path, and the names of torch's tensors that each is made of.

    A `shared` module has two paths. torch names its tensors by both.

    Raises:
        ValueError: a tensor is missing, left over, or has a shape that does not fit. The message lists them all.
    """
    loading = _Loading(leaves, state, dict(state))
    loading.problems += _without_copies(loading.unused, shared)
    for match in matches:
        if isinstance(match, LayerMatch):
            loading.assign_layer(match)
    # torch has no layer for these, so their parameters have the same names and axes in torch.
    others = (path for match in matches if not isinstance(match, LayerMatch) for path, _ in match.draws)
    for path in (*unmatched, *others):
        loading.assign_parameter(path)
    unexpected = (f"unexpected {name}, of shape {array.shape}" for name, array in loading.unused.items())
    if problems := [*loading.problems, *unexpected]:
        raise ValueError("`state` does not fit the model, which is unchanged:\n" + "\n".join(problems))
    return on_device(loading.arrays, leaves), loading.matched


@dataclasses.dataclass
class _Loading:
    """The tensors that are still unused, the arrays made so far, and what did not fit."""

    leaves: Leaves
    state: Mapping[str, np.ndarray]
    unused: dict[str, np.ndarray]
    arrays: dict[Path, np.ndarray] = dataclasses.field(default_factory=dict)
    matched: Matched = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)

    def assign_layer(self, match: LayerMatch) -> None:
        """Make the parameters of a layer from all of its tensors, or from none if one does not fit."""
        shapes = match.shapes(self.leaves)
        wanted = match.layer.tensor_shapes(shapes)
        names = _full_names(match, wanted, self.state)
        self._with_axes(match, names, shapes)
        wrong = [problem for own, shape in wanted.items() for problem in _problem(names[own], shape, self.unused)]
        tensors = {own: self.unused.pop(name) for own, name in names.items() if name in self.unused}
        self.problems += wrong or _nonzero_unused(match, tensors, names)
        if wrong:
            return
        for path, array in match.layer.from_torch(tensors, shapes).items():
            self.arrays[match.node.at(path)] = array
        for parameter in match.layer.parameters:
            own_names = dict.fromkeys(names[block.tensor] for block in parameter.sources)
            self.matched[dotted(match.node.at(parameter.path))] = tuple(own_names)

    def _with_axes(self, match: LayerMatch, names: Mapping[str, str], shapes: Shapes) -> None:
        """Give the tensors of a layer the axes that the layer has, where torch may have them or not."""
        for parameter in match.layer.parameters:
            for name in (names[block.tensor] for block in parameter.sources):
                if name in self.unused:
                    self.unused[name] = parameter.with_axes(self.unused[name], shapes[parameter.path])

    def assign_parameter(self, path: Path) -> None:
        """Take the tensor of the same name and shape."""
        name = next((name for name in map(dotted, spelled_paths(path)) if name in self.unused), dotted(path))
        self.problems += _problem(name, self.leaves[path].shape, self.unused)
        if name in self.unused:
            self.arrays[path], self.matched[dotted(path)] = self.unused.pop(name), (name,)


def _without_copies(state: dict[str, np.ndarray], shared: Iterable[tuple[Path, Path]]) -> Iterator[str]:
    """Remove the second names of shared tensors from the state, and yield those whose values differ."""
    for path, other in shared:
        prefix = f"{dotted(other)}."
        for copy in [name for name in state if name.startswith(prefix)]:
            name = f"{dotted(path)}.{copy.removeprefix(prefix)}"
            if name in state and not np.array_equal(state[name], state.pop(copy)):
                yield f"{copy} and {name} must be equal, because the model has one module for both"


def _problem(name: str, shape: tuple[int, ...], state: Mapping[str, np.ndarray]) -> Iterator[str]:
    if name not in state:
        yield f"missing {name}, of shape {shape}"
    elif state[name].shape != shape:
        yield f"{name} must have shape {shape}, got {state[name].shape}"


def _nonzero_unused(match: LayerMatch, tensors: Mapping[str, np.ndarray], names: Mapping[str, str]) -> Iterator[str]:
    """Yield the blocks of torch's tensors that are not zero and that the Flax layer has no parameter for.

    Only the new state of a GRU has one: torch adds two biases to it, and NNX's cell has one.
    """
    count = {tensor.name: tensor.blocks for tensor in match.layer.draws}
    for block in sorted(match.layer.unused_blocks()):
        if np.split(tensors[block.tensor], count[block.tensor])[block.part].any():
            yield (
                f"`{names[block.tensor]}[{block.part}]` (of {count[block.tensor]} blocks) is nonzero, but {match.node} "
                "has no such bias. Add one: cell.dense_h = nnx.Linear(n, 3 * n, rngs=rngs)"
            )


def _full_names(match: Match, wanted: Iterable[str], state: Mapping[str, Any]) -> dict[str, str]:
    """Return torch's full names of a layer's tensors, by the candidate that the state has most tensors of."""
    candidates = [
        {own: f"{prefix}.{own}{suffix}".removeprefix(".") for own in wanted}
        for prefix, suffix in candidate_names(match.node.path)
    ]
    return max(candidates, key=lambda names: sum(name in state for name in names.values()))
