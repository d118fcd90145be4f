"""The commands about weights in files: `jaxinit describe FILE` and `jaxinit compare A B`."""

import math
from pathlib import Path

import jaxinit

from ..console import CannotRun, names_in, print_line, print_table, printable
from .compare import Row
from .compare import compare as compare_trees
from .describe import Description
from .describe import describe as describe_tree
from .files import read

LAYOUTS = {"flax": jaxinit.FLAX, "torch": jaxinit.TORCH}
USUAL = {".safetensors": "torch", ".npz": "flax"}

COLUMNS = ["parameter\nshape\ndtype", "mean\nskew\nmin", "std\nkurtosis\nmax", "histogram\ndistinct", "nearest"]


def describe(file: Path, layout: str | None) -> int:
    """Print a row for each array of a file."""
    arrays = read(file)
    found = describe_tree(arrays, LAYOUTS[layout or USUAL[file.suffix.lower()]])
    print_table(COLUMNS, map(_described, found))
    print_line(f"{len(found)} parameters, {sum(bool(each.wrong) for each in found)} of which look wrong")
    return 0


def _described(found: Description) -> list[str]:
    nearest = " or ".join((found.nearest, *found.others))
    if len(found.others) > 2:
        nearest = f"{found.nearest} or {len(found.others)} others"
    columns = (found.mean, found.skewness, found.low), (found.std, found.kurtosis, found.high)
    return [
        f"{printable(found.name)}\n{found.shape}\n{found.dtype}",
        *("\n".join(map(_number, column)) for column in columns),
        f"{found.histogram}\n{found.distinct}",
        "\n".join((nearest, *(f"looks wrong: {reason}" for reason in found.wrong))),
    ]


def compare(a: Path, b: Path, names: Path | None) -> int:
    """Print a row for each array that two files have, and the names that only one has."""
    try:
        found = compare_trees(read(a), read(b), names_in(names, "names of A to names of B"))
    except ValueError as error:
        raise CannotRun(error) from None
    columns = ["parameter\nin B", "shape\nin B", "distance\ndetectable", "std ratio\ndetectable", "verdict"]
    print_table(columns, map(_compared, found.rows))
    for word, absent in (("missing in B", found.missing), ("only in B", found.unexpected)):
        for name in absent:
            print_line(f"{word}: {printable(name)}")
    same, undecided = (sum(row.verdict == each for row in found.rows) for each in ("same", "undecided"))
    print_line(
        f"{same} of {len(found.rows)} parameters show no difference, {undecided} have too few entries to tell, "
        f"{len(found.missing)} are missing in B, {len(found.unexpected)} are only in B"
    )
    return 0 if found.same else 1


def _compared(row: Row) -> list[str]:
    verdict = {"error": "numbers of elements differ", "undecided": "too few entries to tell"}
    names = dict.fromkeys((printable(row.name), printable(row.other)))
    numbers = (row.distance, row.detectable), (row.ratio, row.detectable_ratio)
    cells = (names, dict.fromkeys(map(str, row.shapes)), *(map(_number, pair) for pair in numbers))
    return [*map("\n".join, cells), verdict.get(row.verdict, row.verdict)]


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"
