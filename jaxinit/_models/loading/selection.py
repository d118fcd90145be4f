"""Choose and rename what is loaded: the options `rename`, `only` and `ignore` of `load`."""

import dataclasses
import glob
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from jaxinit._models.matching import Path, dotted, fits

Rename = Callable[[str], str] | Mapping[str, str] | Iterable[tuple[str, str]]
"""A function of a name, new names by old ones, or pairs of a regular expression and what replaces it."""
Globs = str | Any
"""One or more shell patterns, such as `"head"`, which also takes all that is in `head`, or Flax's filters."""


T = TypeVar("T")


def renamed(tensors: Mapping[str, T], rename: Rename | None) -> dict[str, T]:
    """Return the tensors by their new names."""
    new_name = _function(rename)
    found: dict[str, str] = {}
    for old in tensors:
        new = new_name(old)
        if not isinstance(new, str):
            raise TypeError(f"`rename` must return a name as a string, got {new!r} for {old!r}")
        if new in found:
            raise ValueError(f"`rename` must give each tensor its own name, got {new!r} for {found[new]!r} and {old!r}")
        found[new] = old
    return {new: tensors[old] for new, old in found.items()}


def turned(tensors: Mapping[str, np.ndarray], transposed: Sequence[str] | None) -> dict[str, np.ndarray]:
    """Return the tensors with those matrices transposed whose names fit one of the patterns."""
    if transposed is None:
        return dict(tensors)
    selection = Selection(tuple(transposed))
    selection.check(tensors, "transposed")
    return {name: array.T if array.ndim == 2 and selection.takes([name]) else array for name, array in tensors.items()}


def _function(rename: Any) -> Callable[[str], Any]:
    """Return what `rename` stands for as a function of a name."""
    if rename is None:
        return lambda name: name
    if isinstance(rename, Mapping):
        return lambda name: rename.get(name, name)
    if callable(rename):
        return rename  # type: ignore[no-any-return]  # its results are checked
    try:
        pairs = [(re.compile(pattern), replacement) for pattern, replacement in rename]
    except (TypeError, ValueError, re.error) as error:
        raise TypeError(
            f"`rename` must be a function, a dict or pairs of a pattern and what replaces it, got {rename!r}: {error}"
        ) from None

    def replaced(name: str) -> str:
        for pattern, replacement in pairs:
            name = pattern.sub(replacement, name)
        return name

    return replaced


def globs(argument: str, value: Any, paths_of: Callable[[Any], Iterable[Path]]) -> tuple[str, ...] | None:
    """Return one or more patterns as a tuple. Other values than strings stand for the paths that `paths_of` returns."""
    if value is None:
        return None
    several = isinstance(value, Iterable) and not isinstance(value, str)
    found: list[str] = []
    for each in value if several else (value,):
        try:
            found += [each] if isinstance(each, str) else [glob.escape(dotted(path)) for path in paths_of(each)]
        except TypeError:
            raise TypeError(f"`{argument}` must be a pattern, a filter or a list of them, got {each!r}") from None
    return tuple(found)


@dataclasses.dataclass(frozen=True)
class Selection:
    """Represent what is loaded: names that fit a pattern of `only`, if there are any, and no pattern of `ignore`."""

    only: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()

    def takes(self, names: Iterable[str]) -> bool:
        """Return whether something is loaded that has all of these names."""
        paths = [tuple(name.split(".")) for name in names]

        def fit(patterns: Iterable[str]) -> bool:
            return any(fits(path, pattern) for pattern in patterns for path in paths)

        return (self.only is None or fit(self.only)) and not fit(self.ignore)

    def check(self, names: Iterable[str], only: str = "only") -> None:
        """Raise ValueError if a pattern fits none of the names."""
        paths = {tuple(name.split(".")) for name in names}
        for argument, patterns in ((only, self.only or ()), ("ignore", self.ignore)):
            for pattern in patterns:
                if not any(fits(path, pattern) for path in paths):
                    known = ", ".join(sorted(map(".".join, paths)))
                    raise ValueError(
                        f"`{argument}` must match a parameter or tensor, got {pattern!r}. Names are {known}"
                    )
