"""The commands about recipes: `jaxinit record BUILD` and `jaxinit show FILE`."""

import time
from pathlib import Path
from typing import Literal

import click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import jaxinit

from ..console import CannotRun, console, imported_function, printable


def record(build: str, out: Path, constants: Literal["refuse", "allow"]) -> int:
    """Record the model that a function builds, and write its recipe."""
    out_console, begin = console(), time.perf_counter()
    columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=out_console, disable=not out_console.is_terminal, transient=True) as progress:
        progress.add_task(f"recording {printable(build)}", total=None)
        function = imported_function("BUILD", build)
        try:
            recipe = jaxinit.record(function, constants=constants)
        except (TypeError, ValueError) as error:
            raise CannotRun(f"cannot record {build!r}: {error}") from None
    try:
        out.write_text(recipe.to_json(), encoding="utf-8")
    except OSError as error:
        raise CannotRun(f"--out must be a file that can be written to, got {str(out)!r}: {error.strerror}") from None
    click.echo(f"{recipe.summary()}, recorded in {time.perf_counter() - begin:.1f} s")
    click.echo(f"Recipe: {printable(out)}")
    return 0


def show(file: Path) -> int:
    """Print the table of a recipe in a file."""
    try:
        recipe = jaxinit.Recipe.from_json(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotRun(f"cannot read {file}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise CannotRun(f"cannot read {file}: it is not a recipe of `jaxinit record`") from None
    except ValueError as error:
        raise CannotRun(f"cannot read {file}: {error}") from None
    for line in str(recipe).splitlines():
        click.echo(printable(line))
    return 0
