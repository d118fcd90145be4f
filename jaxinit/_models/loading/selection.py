"""Choose and rename what is loaded: the options `rename`, `only` and `ignore` of `load`."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from jaxinit._models.matching import fits

Rename = Callable[[str], str] | Mapping[str, str] | Iterable[tuple[str, str]]
"""A function of a name, new names by old ones, or pairs of a regular expression and what replaces it."""
Globs = str | Iterable[str]
"""One or more shell patterns, such as `"head"`, which also takes all that is in `head`."""


def renamed(tensors: Mapping[str, np.ndarray], rename: Rename | None) -> dict[str, np.ndarray]:
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


@dataclasses.dataclass(frozen=True)
class Selection:
    """What is loaded: names that fit a pattern of `only`, if there are any, and no pattern of `ignore`."""

    only: tuple[str, ...] | None = None
    ignore: tuple[str, ...] = ()

    @classmethod
    def of(cls, only: Globs | None, ignore: Globs | None) -> "Selection":
        """Return the selection for arguments of `load`."""
        return cls(None if only is None else _globs("only", only), () if ignore is None else _globs("ignore", ignore))

    def takes(self, names: Iterable[str]) -> bool:
        """Return whether something is loaded that has all of these names."""
        paths = [tuple(name.split(".")) for name in names]

        def fit(globs: Iterable[str]) -> bool:
            return any(fits(path, glob) for glob in globs for path in paths)

        return (self.only is None or fit(self.only)) and not fit(self.ignore)

    def check(self, names: Iterable[str]) -> None:
        """Raise ValueError if a pattern fits none of the names."""
        paths = {tuple(name.split(".")) for name in names}
        for argument, globs in (("only", self.only or ()), ("ignore", self.ignore)):
            for glob in globs:
                if not any(fits(path, glob) for path in paths):
                    known = ", ".join(sorted(map(".".join, paths)))
                    raise ValueError(f"`{argument}` must match a parameter or tensor, got {glob!r}. Names are {known}")


def _globs(argument: str, value: Any) -> tuple[str, ...]:
    globs = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, Iterable) else (value,)
    if wrong := [glob for glob in globs if not isinstance(glob, str)]:
        raise TypeError(f"`{argument}` must be a pattern or a list of patterns, got {wrong[0]!r}")
    return globs
