"""Load torch's `state_dict` into a Flax model, name by name: all of it or nothing."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._models.matching import LayerMatch, Leaves, Match, Path, dotted, on_device

State = Mapping[str, Any] | str | PathLike[str]
Matched = dict[str, tuple[str, ...]]


def read(state: State) -> dict[str, np.ndarray]:
    """Return the arrays by torch's names, from a dict or from a file of safetensors."""
    if isinstance(state, Mapping):
        if wrong := [name for name in state if not isinstance(name, str)]:
            raise TypeError(f"`state` must have names as keys, got {wrong[0]!r}")
        return {name: _array(name, value) for name, value in state.items() if not _is_counter(name)}
    if not isinstance(state, str | PathLike):
        raise TypeError(f"`state` must be a dict of arrays or the path of a safetensors file, got {type(state)}")
    try:
        from safetensors import SafetensorError
        from safetensors.flax import load_file
    except ImportError:
        raise ImportError("`state` as a file needs safetensors. Install it with: pip install 'jaxinit[flax]'") from None
    try:
        return read(load_file(state))
    except SafetensorError as error:
        raise ValueError(f"`state` must be a file of safetensors (no pickle is loaded), got {state}: {error}") from None


def _is_counter(name: str) -> bool:
    """Return whether this is BatchNorm's count of batches, which Flax does not keep."""
    return name.rpartition(".")[2] == "num_batches_tracked"


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except TypeError:  # NumPy has no bfloat16 for a torch tensor, and JAX has
        return np.asarray(jnp.from_dlpack(value))
    except RuntimeError as error:  # a parameter that requires a gradient
        raise TypeError(f"`state` must hold arrays, such as torch's state_dict(), got for {name}: {error}") from None


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

    def assign_parameter(self, path: Path) -> None:
        """Take the tensor of the same name and shape."""
        name = next((name for name in map(dotted, _spelled_paths(path)) if name in self.unused), dotted(path))
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


def candidate_names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the prefixes and suffixes that torch's names of a layer's tensors may have.

    For `rnn.cell` these are `("rnn.cell", "")` and, in a recurrent module, `("rnn", "_l0")`.
    """
    for spelled in _spelled_paths(path):
        yield dotted(spelled), ""
    for spelled in _spelled_paths(path):
        yield from _recurrent_names(spelled)


def _spelled_paths(path: Path) -> list[Path]:
    """Return the paths that torch may have for a path of Flax's, itself first.

    Linen names an entry of a list `blocks_0`, torch `blocks.0`. Flax's Sequential keeps a list
    `layers`, and torch's has the entries themselves. So each `layers` may be left out or not.
    """
    listed = tuple(part for name in path for part in re.sub(r"_(?=\d+(_\d+)*$)", ".", name).split("."))
    following = (*listed[1:], "")[: len(listed)]
    choices = [
        ((name,), ()) if name == "layers" and after.isdigit() else ((name,),)
        for name, after in zip(listed, following, strict=True)
    ]
    spelled = (tuple(itertools.chain(*choice)) for choice in itertools.product(*choices))
    return list(dict.fromkeys((path, *spelled)))


def _recurrent_names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield torch's names for a cell in an RNN: the layer `_l0`, or in a list the layer of its index.

    A Linen cell may be named after torch's layer, such as `lstm_l0`.
    """
    if path and path[-1] == "cell":
        path = path[:-1]
    suffix = "_reverse" if path[-1:] == ("backward_rnn",) else ""
    if path[-1:] in (("backward_rnn",), ("forward_rnn",)):
        path = path[:-1]
    if named := re.fullmatch(r"(.*)(_l\d+(?:_reverse)?)", path[-1] if path else ""):
        yield dotted((*path[:-1], named[1])), named[2]
    if path and path[-1].isdigit():
        yield dotted(path[:-1]), f"_l{path[-1]}{suffix}"
    yield dotted(path), f"_l0{suffix}"
