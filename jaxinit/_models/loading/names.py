"""Say which names torch may have for what has a path in a Flax model."""

import itertools
import re
from collections.abc import Iterator

from jaxinit._models.matching import Path, dotted


def candidate_names(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the prefixes and suffixes that torch's names of a layer's tensors may have.

    For `rnn.cell` these are `("rnn.cell", "")` and, in a recurrent module, `("rnn", "_l0")`.
    """
    for spelled in spelled_paths(path):
        yield dotted(spelled), ""
    for spelled in spelled_paths(path):
        yield from _recurrent_names(spelled)


def spelled_paths(path: Path) -> list[Path]:
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
