"""Put what a model draws into torch's order: of the constructors, or of names that the user gives."""

import dataclasses
import difflib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import jax

from jaxinit._initializers.elementwise import constant
from jaxinit._models.loading.names import candidate_names, spelled_paths
from jaxinit._models.matching import LayerMatch, Leaves, Match, Path, RuleMatch, dotted


@dataclasses.dataclass(frozen=True)
class Method(Match):
    """Represent a module with a method that sets its arrays.

    `call` takes the arrays that were drawn before, and returns the paths of the arrays that the method set.
    """

    call: Callable[[Mapping[Path, jax.Array]], set[Path]]


def in_torch_order(
    matches: Iterable[Match], leaves: Leaves, order: Iterable[str] | None, unordered: Mapping[Path, str]
) -> list[Match]:
    """Return one match after the other as torch draws them, and one for each array that a rule names.

    `leaves` have the order in which the constructors set them, except in the modules at `unordered`.
    """
    steps = _by_constructors([step for match in matches for step in _split(match)], leaves)
    if order is not None:
        return _by_names(steps, leaves, order)
    if lost := lost_order([_place(step) for step in steps if _takes_numbers(step)], unordered):
        raise ValueError(f"`order` must give torch's names, got None for {lost}")
    return steps


def lost_order(drawn: Iterable[Path], unordered: Mapping[Path, str]) -> str:
    """Return, in words, the first of `unordered` with several parts that are drawn, or an empty text."""
    drawn = set(drawn)
    for node, why in unordered.items():
        if len({path[: len(node) + 1] for path in drawn if path[: len(node)] == node != path}) > 1:
            return f"{dotted(node) or 'the model'}, {why}"
    return ""


def _split(match: Match) -> Iterable[Match]:
    if not isinstance(match, RuleMatch):
        return [match]
    return (dataclasses.replace(match, inits={name: init}) for name, init in match.inits.items())


def _is_late(step: Match) -> bool:
    """Return whether a step needs the modules in its own module: it sets their arrays, or calls a method."""
    return isinstance(step, Method) or (isinstance(step, RuleMatch) and any("." in name for name in step.inits))


def _place(step: Match) -> Path:
    """Return the path of the part of the model that is built when the step is done."""
    return step.node.path if _is_late(step) else step.draws[0][0]


def _takes_numbers(step: Match) -> bool:
    return isinstance(step, Method) or not all(isinstance(init, constant) for init in step.inits.values())


def _by_constructors(steps: Iterable[Match], leaves: Leaves) -> list[Match]:
    """Sort steps by the first array in each of the modules around them. Late steps end their modules."""
    first: dict[Path, float] = {}
    for index, path in enumerate(leaves):
        for end in range(len(path) + 1):
            first.setdefault(path[:end], index)

    def place(step: Match) -> tuple[float, ...]:
        around = (first.get(step.node.path[:end], math.inf) for end in range(1, len(step.node.path) + 1))
        return (*around, math.inf if _is_late(step) else min(first[path] for path, _ in step.draws))

    return sorted(steps, key=place)


def _by_names(steps: Sequence[Match], leaves: Leaves, order: Iterable[str]) -> list[Match]:
    """Return the steps in the order in which torch's names come, of layers or of tensors."""
    names = _validated(order)
    _require_known(names, steps, leaves)
    first, last = dict[_Key, int](), dict[_Key, int]()
    for place, name in enumerate(names):
        for key in _keys_of_name(name):
            first.setdefault(key, place)
            last[key] = place
    outer = {step.node.path[:end] for step in steps for end in range(len(step.node.path))}

    def index(step: Match) -> int:
        named = last if _is_late(step) else first
        is_array = isinstance(step, RuleMatch) and not _is_late(step)
        keys: list[_Key] = [(dotted(path), None) for path in spelled_paths(_place(step))] if is_array else []
        if not is_array or step.node.path not in outer:
            keys += _keys_of_layer(step.node.path)
        if places := [named[key] for key in keys if key in named]:
            return places[0] if is_array else min(places)
        if not _takes_numbers(step):
            return 0
        what = dotted(_place(step)) if is_array else str(step.node)
        raise ValueError(f"`order` must name every layer, got no name of {what}")

    return sorted(steps, key=index)


def _validated(order: Iterable[str]) -> list[str]:
    if isinstance(order, str) or not isinstance(order, Iterable):
        raise TypeError(f"`order` must be torch's names one by one, got {order!r}")
    names = list(order)
    for name in names:
        if not isinstance(name, str):
            raise TypeError(f"`order` must be names, got {name!r}")
    return names


def _require_known(names: Iterable[str], steps: Iterable[Match], leaves: Leaves) -> None:
    """Raise ValueError for names that fit nothing. Inside of a module without modules, any name fits."""
    parents = {path[:-1] for path in leaves}
    outer = {path[:end] for path in parents for end in range(len(path))}
    whole = {step.node.path for step in steps if isinstance(step, LayerMatch)} | (parents - outer)
    inside = {prefix for path in whole for prefix, _ in candidate_names(path)}
    known = {
        dotted(spelled) for path in leaves for end in range(len(path) + 1) for spelled in spelled_paths(path[:end])
    }

    def fits(name: str) -> bool:
        parts = name.split(".")
        return name in known or any(".".join(parts[:end]) in inside for end in range(len(parts) + 1))

    if unknown := [name for name in names if not fits(name)]:
        near = {name: difflib.get_close_matches(name, known, n=2) for name in unknown}
        listed = "; ".join(f"{name!r} (near {' and '.join(map(repr, near[name])) or 'none'})" for name in unknown)
        raise ValueError(
            f"`order` must hold names of layers or arrays of the model, got {listed}. Leave out what torch does not "
            "draw. If torch draws a layer that the model lacks, add the layer to the model that is drawn"
        )


# A place is looked up by a pair: the name of a module, and the suffix of its tensors' names. Only torch's
# recurrent modules have suffixes, such as `_l0`, as they hold several layers. None stands for all of them.
_Key = tuple[str, str | None]


def _keys_of_name(name: str) -> Iterator[_Key]:
    """Yield the modules around a name of torch's, and the layer of a recurrent module that the name belongs to."""
    parts = name.split(".")
    for end in range(len(parts) + 1):
        yield ".".join(parts[:end]), ""
    if suffix := re.search(r"_l\d+(_reverse)?$", name):
        yield ".".join(parts[:-1]), suffix[0]
    yield name, None


def _keys_of_layer(path: Path) -> Iterator[_Key]:
    for prefix, suffix in candidate_names(path):
        yield prefix, suffix
        if suffix:
            yield prefix, None
