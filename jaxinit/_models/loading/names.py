"""Say which names torch may have for what has a path in a Flax model."""

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar

from jaxinit._models.matching import Path, dotted

Item = TypeVar("Item")

_APART: dict[str, tuple[Path, ...]] = {
    "query": (("q_proj",), ("attention", "query"), ("self", "query")),
    "key": (("k_proj",), ("attention", "key"), ("self", "key")),
    "value": (("v_proj",), ("attention", "value"), ("self", "value")),
    "out": (("out_proj",), ("o_proj",), ("output", "dense")),
}
_APART |= {
    "query_proj": (("query",), *_APART["query"]),
    "key_proj": (("key",), *_APART["key"]),
    "value_proj": (("value",), *_APART["value"]),
    "output_proj": (("out",), *_APART["out"]),
}
"""Hugging Face's names for the parts of attention, as in Llama, ViT and BERT, by their names in Flax and Equinox."""


def candidate_names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the prefixes and suffixes that torch's names of a layer's tensors may have, the likeliest first.

    For `rnn.cell` these are `("rnn", "_l0")`, as in a recurrent module, and `("rnn.cell", "")`.
    """
    own = [(dotted(spelled), "") for spelled in spelled_paths(path)]
    recurrent = [name for spelled in spelled_paths(path) for name in _recurrent_names(spelled)]
    is_recurrent = path[-1:] == ("cell",) or re.search(r"_l\d+(_reverse)?$", dotted(path))
    yield from (*recurrent, *own) if is_recurrent else (*own, *recurrent)


def stacks_in_names(
    modules: Iterable[Path], sizes: Mapping[Path, tuple[int, ...]], names: Iterable[str]
) -> dict[Path, int]:
    """Return the outermost modules that torch has a list for, and Flax one array, with the number of layers.

    `sizes` are those of the axes that may stack layers, for all arrays by path.
    """
    stacks: dict[Path, int] = {}
    entries = _entries(names)
    for module in sorted(modules, key=len):
        count = next((entries[path] for path in spelled_paths(module) if path in entries), None)
        if count is None or any(module[: len(outer)] == outer for outer in stacks):
            continue
        below = {path[len(module) :]: size for path, size in sizes.items() if path[: len(module)] == module}
        # A list of Flax's has as many entries of its own, in `layers` if it is a Sequential.
        listed = {part for path in below for part in path[: 1 + (path[0] == "layers")] if part.isdigit()}
        if below and len(listed) != count and all(count in size for size in below.values()):
            stacks[module] = count
    return stacks


def _entries(names: Iterable[str]) -> dict[Path, int]:
    """Return the number of entries of each list in torch's names."""
    found: dict[Path, set[int]] = {}
    for parts in (name.split(".") for name in names):
        for end, part in enumerate(parts[:-1]):
            if part.isdecimal():
                found.setdefault(tuple(parts[:end]), set()).add(int(part))
    return {path: len(entries) for path, entries in found.items() if entries == set(range(len(entries)))}


def spelled_paths(path: Path) -> list[Path]:
    """Return the paths that torch may have for a path of Flax's, the likeliest first.

    Linen names an entry of a list `blocks_0`, torch `blocks.0`. Flax's Sequential keeps a list
    `layers`, and torch's has the entries themselves. So each `layers` may be left out or not.
    Flax's WeightNorm is a module around a layer, and in torch the layer has a `weight_g`.
    """
    path = _scale_of_weight_norm(path) or path
    listed = tuple(part for name in path for part in re.sub(r"_(?=\d+(_\d+)*$)", ".", name).split("."))
    following = (*listed[1:], "")[: len(listed)]
    choices = [
        ((), (name,)) if (name == "layers" and after.isdigit()) or name == "layer_instance" else ((name,),)
        for name, after in zip(listed, following, strict=True)
    ]
    spelled = [tuple(itertools.chain(*choice)) for choice in itertools.product(*choices)]
    apart = [(*own[:-1], *other) for own in spelled for other in _APART.get(own[-1] if own else "", ())]
    return list(dict.fromkeys((*spelled, path, *apart)))


def parameter_names(path: Path, shape: tuple[int, ...]) -> list[str]:
    """Return the names that torch may have for a parameter of a module without a rule, the likeliest first.

    A vector `scale`, as in a norm that a user wrote, may be `weight` in torch, as in the norms of both.
    """
    spelled = spelled_paths(path)
    weights = [(*own[:-1], "weight") for own in spelled if own[-1:] == ("scale",) and len(shape) == 1]
    return [dotted(own) for own in (*spelled, *weights)]


def plain_first(path: Path, names: Iterable[Item], prefix: Callable[[Item], str]) -> list[Item]:
    """Return names with those first that keep the parts of `path` with a number, such as `ln_1`, as they are."""
    numbered = [part for part in path if re.search(r"_\d+$", part)]
    return sorted(names, key=lambda name: any(part not in prefix(name).split(".") for part in numbered))


def _scale_of_weight_norm(path: Path) -> Path | None:
    """Return torch's path for a scale of WeightNorm, whose name is the path of a kernel, a tuple or with slashes."""
    *module, outer, own = ("", "", *path)
    inner = re.findall(r"\w+", own)
    if outer == "scales" and inner[-1:] == ["kernel"]:
        return (*module[2:], *inner[:-1], "weight_g")
    if own.endswith("/kernel/scale"):
        return (*module[2:], *inner[:-2], "weight_g")
    return None


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
