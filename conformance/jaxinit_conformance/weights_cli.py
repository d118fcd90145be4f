"""The commands about other people's weights: `describe FILE` and `compare A B`."""

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import jaxinit

from .weights import compare, describe, files
from .weights.files import shown

_LAYOUTS = {"flax": jaxinit.FLAX, "torch": jaxinit.TORCH}
_USUAL = {".safetensors": "torch", ".npz": "flax"}


def add_commands(commands: Any) -> None:
    """Registers `describe` and `compare` among argparse's subcommands."""
    described = commands.add_parser(
        "describe",
        help="show the statistics of a file of weights, and what drew them",
        epilog="Exit status: 0 it was described; 2 the file cannot be read.",
    )
    described.add_argument("file", type=Path, metavar="FILE", help=".safetensors or .npz")
    described.add_argument(
        "--layout", choices=_LAYOUTS, help="where fans are read off (default: torch for .safetensors, flax for .npz)"
    )
    described.set_defaults(command=_describe)
    compared = commands.add_parser(
        "compare",
        help="compare the distributions of two files of weights",
        epilog="Exit status: 0 no difference was seen; 1 they differ; 2 a file cannot be read.",
    )
    compared.add_argument("a", type=Path, metavar="A", help=".safetensors or .npz")
    compared.add_argument("b", type=Path, metavar="B", help="another, whose shapes may be transposed")
    compared.add_argument(
        "--map", type=Path, metavar="FILE", help="JSON object from names of A to those names of B that differ"
    )
    compared.set_defaults(command=_compare)


def _describe(options: argparse.Namespace) -> int:
    try:
        arrays = files.read(options.file)
    except files.WeightsError as error:
        return _give_up(str(error))
    found = describe.describe(arrays, _LAYOUTS[options.layout or _USUAL[options.file.suffix]])
    columns = "parameter shape dtype mean std skew kurtosis min max distinct histogram nearest"
    _print([*columns.split(), "looks wrong"], [_description(each) for each in found])
    wrong = sum(bool(each.wrong) for each in found)
    print(f"{len(found)} parameters, {wrong} of which look wrong")
    return 0


def _description(found: describe.Description) -> list[str]:
    numbers = (found.mean, found.std, found.skewness, found.kurtosis, found.low, found.high)
    nearest = " or ".join((found.nearest, *found.others))
    if len(found.others) > 2:
        nearest = f"{found.nearest} or {len(found.others)} others"
    start = [found.name, str(found.shape), found.dtype, *map(_number, numbers), str(found.distinct)]
    return [*start, found.histogram, nearest, "; ".join(found.wrong)]


def _compare(options: argparse.Namespace) -> int:
    try:
        a, b = files.read(options.a), files.read(options.b)
        found = compare.compare(a, b, _mapping(options.map))
    except (files.WeightsError, ValueError) as error:
        return _give_up(str(error))
    columns = ("parameter", "in B", "shape", "in B", "distance", "detectable", "std ratio", "detectable", "verdict")
    _print(list(columns), [_row(row) for row in found.rows])
    for word, names in (("missing in B", found.missing), ("only in B", found.unexpected)):
        for name in names:
            print(f"{word}: {shown(name)}")
    same = sum(row.verdict == "same" for row in found.rows)
    print(f"{same} of {len(found.rows)} parameters show no difference; ", end="")
    print(f"{len(found.missing)} are missing in B, {len(found.unexpected)} are only in B")
    return 0 if found.same else 1


def _row(row: compare.Row) -> list[str]:
    verdict = {"error": "numbers of elements differ", "undecided": "too few entries to tell"}
    numbers = (row.distance, row.detectable, row.ratio, row.detectable_ratio)
    names = [row.name, "" if row.name == row.other else row.other]
    return [*names, *map(str, row.shapes), *map(_number, numbers), verdict.get(row.verdict, row.verdict)]


def _mapping(path: Path | None) -> dict[str, str]:
    """The content of a map, names to names.

    Raises:
        WeightsError: it cannot be read or is no such map.
    """
    if path is None:
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise files.WeightsError(f"cannot read {shown(path)}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise files.WeightsError(f"cannot read {shown(path)}: it is not JSON") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content.values()):
        raise files.WeightsError(f"cannot read {shown(path)}: expected an object from names of A to names of B")
    return content


def _give_up(reason: str) -> int:
    print(f"conformance: {shown(reason)}", file=sys.stderr)
    return 2


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _print(columns: list[str], rows: list[list[str]]) -> None:
    """A table that fits a terminal; elsewhere Markdown, as wide as it comes."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=100_000)
    table = Table(*columns, box=box.SIMPLE_HEAD if console.is_terminal else box.MARKDOWN)
    for row in rows:
        table.add_row(
            *(escape(shown(cell) if console.is_terminal else shown(cell).replace("|", r"\|")) for cell in row)
        )
    console.print(table)
