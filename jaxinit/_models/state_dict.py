"""torch's `state_dict` into a Flax model: name by name, all of it or nothing."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from os import PathLike
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxinit._models.matching import Match, Leaves, Path, dotted, laid_out

State = Mapping[str, Any] | str | PathLike[str]
Matched = dict[str, tuple[str, ...]]


def read(state: State) -> dict[str, np.ndarray]:
    """The arrays by torch's names; a file of safetensors is opened."""
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
        raise ImportError("`state` as a file needs safetensors; install it with: pip install 'jaxinit[flax]'") from None
    try:
        return read(load_file(state))
    except SafetensorError as error:
        raise ValueError(f"`state` must be a file of safetensors (no pickle is loaded), got {state}: {error}") from None


def _is_counter(name: str) -> bool:
    """BatchNorm's count of batches, which Flax does not keep."""
    return name.rpartition(".")[2] == "num_batches_tracked"


def _array(name: str, value: Any) -> np.ndarray:
    try:
        return np.asarray(value)
    except TypeError:  # torch's bfloat16 has no NumPy form of its own
        return np.asarray(jnp.from_dlpack(value))
    except RuntimeError as error:  # torch's parameters that are trained
        raise TypeError(f"`state` must hold arrays, such as torch's state_dict(), got for {name}: {error}") from None


def match(
    found: Sequence[Match],
    free: Iterable[Path],
    leaves: Leaves,
    state: Mapping[str, np.ndarray],
    shared: Iterable[tuple[Path, Path]] = (),
) -> tuple[dict[Path, jax.Array], Matched]:
    """The arrays of the model by path, and which of torch's tensors each is made of.

    A module that is `shared` has two paths; torch names its tensors by both.

    Raises:
        ValueError: a tensor is missing, left over, or of a shape that does not fit; all are listed.
    """
    matching = _Matching(leaves, state, dict(state))
    matching.problems += _without_copies(matching.unused, shared)
    for one in found:
        matching.assign_layer(one)
    alone = (path for one in found if one.layer is None for path, _ in one.draws)
    for path in (*free, *alone):
        matching.assign_parameter(path)
    unexpected = (f"unexpected {name}, of shape {array.shape}" for name, array in matching.unused.items())
    if problems := [*matching.problems, *unexpected]:
        raise ValueError("`state` does not fit the model, which is unchanged:\n" + "\n".join(problems))
    return laid_out(matching.arrays, leaves), matching.matched


@dataclasses.dataclass
class _Matching:
    """The state and what of it is still unused; what it gave, and what did not fit."""

    leaves: Leaves
    state: Mapping[str, np.ndarray]
    unused: dict[str, np.ndarray]
    arrays: dict[Path, np.ndarray] = dataclasses.field(default_factory=dict)
    matched: Matched = dataclasses.field(default_factory=dict)
    problems: list[str] = dataclasses.field(default_factory=list)

    def assign_layer(self, one: Match) -> None:
        """The tensors of one of torch's layers, all of them or none."""
        if one.layer is None:
            return
        shapes = {name: self.leaves[one.node.at(name)].shape for name in one.inits}
        wanted = one.layer.tensor_shapes(shapes)
        names = _named(one, wanted, self.state)
        wrong = [problem for own, shape in wanted.items() for problem in _problem(names[own], shape, self.unused)]
        tensors = {own: self.unused.pop(name) for own, name in names.items() if name in self.unused}
        self.problems += wrong or _without_place(one, tensors, names)
        if wrong:
            return
        for name, array in one.layer.from_torch(tensors, shapes).items():
            self.arrays[one.node.at(name)] = array
        for parameter in one.layer.parameters:
            own_names = dict.fromkeys(names[block.tensor] for block in parameter.sources)
            self.matched[dotted(one.node.at(parameter.path))] = tuple(own_names)

    def assign_parameter(self, path: Path) -> None:
        """A parameter that is in torch as it is here."""
        name = next((name for name in map(dotted, _spelled_paths(path)) if name in self.unused), dotted(path))
        self.problems += _problem(name, self.leaves[path].shape, self.unused)
        if name in self.unused:
            self.arrays[path], self.matched[dotted(path)] = self.unused.pop(name), (name,)


def _without_copies(state: dict[str, np.ndarray], shared: Iterable[tuple[Path, Path]]) -> Iterator[str]:
    """Takes the second names of shared tensors out of the state."""
    for path, other in shared:
        prefix = f"{dotted(other)}."
        for copy in [name for name in state if name.startswith(prefix)]:
            name = f"{dotted(path)}.{copy.removeprefix(prefix)}"
            if name in state and not np.array_equal(state[name], state.pop(copy)):
                yield f"{copy} and {name} must be equal, for the model has one module for both"


def _problem(name: str, shape: tuple[int, ...], state: Mapping[str, np.ndarray]) -> Iterator[str]:
    if name not in state:
        yield f"missing {name}, of shape {shape}"
    elif state[name].shape != shape:
        yield f"{name} must have shape {shape}, got {state[name].shape}"


def _without_place(one: Match, tensors: Mapping[str, np.ndarray], names: Mapping[str, str]) -> Iterator[str]:
    """Numbers that the Flax layer would have to ignore."""
    assert one.layer is not None
    count = {tensor.name: tensor.blocks for tensor in one.layer.draws}
    for block in sorted(one.layer.unused_blocks()):
        if np.split(tensors[block.tensor], count[block.tensor])[block.part].any():
            yield (
                f"{names[block.tensor]} has numbers that {one.node} has no place for (block {block.part} of "
                f"{count[block.tensor]}); give the layer for its state a bias: "
                "cell.dense_h = nnx.Linear(n, 3 * n, rngs=rngs)"
            )


def _named(one: Match, wanted: Iterable[str], state: Mapping[str, Any]) -> dict[str, str]:
    """torch's full names of a layer's tensors: that form of its path of which the state knows most."""
    named = [
        {own: f"{prefix}.{own}{suffix}".removeprefix(".") for own in wanted} for prefix, suffix in candidate_names(one.node.path)
    ]
    return max(named, key=lambda form: sum(name in state for name in form.values()))


def candidate_names(path: Path) -> Iterator[tuple[str, str]]:
    """What torch may call a layer: prefixes of its tensors' names, and suffixes."""
    for form in _spelled_paths(path):
        yield dotted(form), ""
    for form in _spelled_paths(path):
        yield from _recurrent(form)


def _spelled_paths(path: Path) -> list[Path]:
    """An entry of a Linen list is `blocks_0` for `blocks.0`; Sequential's `layers` have no name in torch."""
    listed = tuple(part for name in path for part in re.sub(r"_(?=\d+(_\d+)*$)", ".", name).split("."))
    following = (*listed[1:], "")[: len(listed)]
    # Of several `layers` in a path each may be Sequential's or a list of that name.
    choices = [
        ((name,), ()) if name == "layers" and after.isdigit() else ((name,),)
        for name, after in zip(listed, following, strict=True)
    ]
    chosen = (tuple(itertools.chain(*choice)) for choice in itertools.product(*choices))
    return list(dict.fromkeys((path, *chosen)))


def _recurrent(path: Path) -> Iterator[tuple[str, str]]:
    """A cell in an RNN is torch's layer `_l0`, in a list that of its index; it may be named `lstm_l0` itself."""
    if path and path[-1] == "cell":
        path = path[:-1]
    is_backward = path[-1:] == ("backward_rnn",)
    if path[-1:] in (("backward_rnn",), ("forward_rnn",)):
        path = path[:-1]
    suffix = "_reverse" * is_backward
    if named := re.fullmatch(r"(.*)(_l\d+(?:_reverse)?)", path[-1] if path else ""):
        yield dotted((*path[:-1], named[1])), named[2]
    if path and path[-1].isdigit():
        yield dotted(path[:-1]), f"_l{path[-1]}{suffix}"
    yield dotted(path), f"_l0{suffix}"
