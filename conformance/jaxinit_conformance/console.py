"""What every command prints, and how one says that it cannot run."""

import json
import os
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click


class CannotRun(click.ClickException):
    """Represent the command cannot run: one line, and exit status 2."""

    exit_code = 2

    def __init__(self, reason: object) -> None:
        super().__init__(printable(reason))


def printable(text: object) -> str:
    r"""Return the text on one line, with every character escaped that could steer a terminal.

    Example:
        >>> print(printable("kernel\x1b[2J"))
        kernel\x1b[2J
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in str(text))


def imported(argument: str, name: str) -> Any:
    """Return what `package.module:name` names. Modules of the working directory are found too.

    Raises:
        CannotRun: the name cannot be imported. The message begins with `argument`.
    """
    sys.path.insert(0, os.getcwd())
    try:
        return pkgutil.resolve_name(name)
    except Exception as error:  # a module may raise anything while it is imported
        raise CannotRun(f"{argument} must be package.module:name, got {name!r}: {error}") from error
    finally:
        sys.path.remove(os.getcwd())


def imported_function(argument: str, name: str) -> Any:
    """Return the function that `package.module:name` names.

    Raises:
        CannotRun: the name cannot be imported, or is not that of a function.
    """
    found = imported(argument, name)
    if not callable(found):
        raise CannotRun(f"{argument} must be the package.module:name of a function, got {name!r}, {type(found)}")
    return found


def json_in(file: Path) -> Any:
    """Return what a JSON file holds.

    Raises:
        CannotRun: the file cannot be read.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CannotRun(f"cannot read {file}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CannotRun(f"cannot read {file}: it is not JSON") from None


def names_in(file: Path | None, meaning: str) -> dict[str, str]:
    """Return the JSON object in a file, from names to names, or no names without a file.

    Raises:
        CannotRun: the file cannot be read, or holds something else than `meaning`, such as "names of A to names of B".
    """
    if file is None:
        return {}
    content = json_in(file)
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content.values()):
        raise CannotRun(f"cannot read {file}: expected an object from {meaning}")
    return content


WIDTH = 100
"""The columns of what is printed to a file or a pipe."""


def console() -> Any:
    """Return rich's console: as wide as the terminal, else `WIDTH` characters.

    When the reader of a pipe ends, as in `jaxinit compare A B | head`, the rest is not printed. The command goes on.
    """
    from rich.console import Console

    class UntilRead(Console):
        def on_broken_pipe(self) -> None:
            # rich would end the program here, with exit status 1.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    found = UntilRead(highlight=False)
    return found if found.is_terminal else UntilRead(highlight=False, width=WIDTH)


def print_line(text: str) -> None:
    """Print a line, which is not wrapped."""
    console().print(text, markup=False, soft_wrap=True)


def print_table(columns: list[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table that fits the terminal, or `WIDTH` columns where there is none. A cell may have several lines."""
    from rich import box
    from rich.markup import escape
    from rich.table import Column, Table

    out = console()
    headings = (Column(name, overflow="fold") for name in columns)
    table = Table(*headings, box=box.SIMPLE_HEAD if out.is_terminal else box.MARKDOWN)
    for row in rows:
        cells = ("\n".join(map(printable, cell.split("\n"))) for cell in row)
        table.add_row(*(escape(cell if out.is_terminal else cell.replace("|", r"\|")) for cell in cells))
    out.print(table)
