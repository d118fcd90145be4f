"""The commands about weights in files: `jaxinit describe FILE` and `jaxinit compare A B`."""

from pathlib import Path
from typing import Any

import jaxinit

from ..console import CannotRun, console, names_in, print_line
from .files import Weights, read

LAYOUTS = {"flax": jaxinit.FLAX, "torch": jaxinit.TORCH}
USUAL = {".safetensors": "torch", ".npz": "flax"}


def describe(file: Path, layout: str | None) -> int:
    """Print a row for each array of a file."""
    _print(jaxinit.describe(read(file), layout=LAYOUTS[layout or USUAL[file.suffix.lower()]]))
    return 0


def compare(a: Path, b: Path, names: Path | None) -> int:
    """Print a row for each array that two files have, and the names that only one has."""
    first, second = read(a), read(b)
    found = jaxinit.compare(first, second, rename=_renamed(first, second, names))
    _print(found)
    return 0 if found.same else 1


def _renamed(first: Weights, second: Weights, names: Path | None) -> dict[str, str]:
    """Return the names of A by those of B, from a file that has it the other way."""
    mapping = names_in(names, "names of A to names of B")
    for tree, known, given in (("A", first, [*mapping]), ("B", second, [*mapping.values()])):
        if absent := [name for name in given if name not in known]:
            raise CannotRun(f"--map must name parameters of {tree}, got {absent[0]!r}")
    return {other: name for name, other in mapping.items()}


def _print(found: Any) -> None:
    """Print with colours in a terminal, else one line for each array, however long."""
    out = console()
    if out.is_terminal:
        out.print(found)
    else:
        print_line(str(found))
