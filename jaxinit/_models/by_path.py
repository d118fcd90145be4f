"""Initializers by patterns of the paths of parameters: the first pattern that fits an array counts."""

import fnmatch
import re
from collections.abc import Mapping, Sequence

from jaxinit._models.matching import Draw, Init, Leaves, Node, Path, dotted


def asked(patterns: Mapping[str, Init | None], nodes: Sequence[Node], leaves: Leaves) -> list[Draw]:
    """Return the draws that `patterns` ask for, module by module, and in each by the order of patterns.

    Raises:
        TypeError: a pattern is no text, or has no initializer and not None.
        ValueError: a pattern is the first one to fit for no array.
    """
    parts = {pattern: _parts(pattern, init) for pattern, init in patterns.items()}
    first = {path: next((text for text in parts if _fits(path, parts[text])), None) for path in leaves}
    for pattern in parts:
        if pattern not in first.values():
            earlier = sorted({str(first[path]) for path in leaves if _fits(path, parts[pattern])})
            found = f"which fits only where {', '.join(earlier)} comes first" if earlier else "which fits none"
            raise ValueError(
                f"`fn` must have patterns that each fit a parameter first, got {pattern!r}, {found}. "
                f"Paths are {', '.join(map(dotted, leaves))}"
            )
    module, rank = {node.path: index for index, node in enumerate(nodes)}, {text: i for i, text in enumerate(parts)}

    def turn(draw: tuple[Path, str]) -> tuple[int, int]:
        path, pattern = draw
        inside = (module[path[:end]] for end in range(len(path) - 1, -1, -1) if path[:end] in module)
        return next(inside, len(module)), rank[pattern]

    draws = sorted(((path, text) for path, text in first.items() if text is not None), key=turn)
    return [(path, init) for path, text in draws if (init := patterns[text]) is not None]


def _parts(pattern: str, init: Init | None) -> list[str]:
    if not isinstance(pattern, str) or not (init is None or callable(init)):
        raise TypeError(f"`fn` must have initializers or None by patterns of paths, got {pattern!r}: {init!r}")
    return re.split(r"[/.]", pattern)


def _fits(path: Path, parts: Sequence[str]) -> bool:
    """Return whether each name fits its part of the pattern. `**` fits any number of names."""
    match parts:
        case []:
            return not path
        case ["**", *rest]:
            return any(_fits(path[start:], rest) for start in range(len(path) + 1))
        case [part, *rest]:
            return bool(path) and fnmatch.fnmatchcase(path[0], part) and _fits(path[1:], rest)
    raise AssertionError(parts)
