"""A table as text, for rich and as HTML."""

import abc
import dataclasses
import html
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Line:
    """The cells of one line, and whether it should catch the eye."""

    cells: tuple[str, ...]
    is_marked: bool = False


class Printed(abc.ABC):
    """A value that prints as a table with notes below it: as text, in rich's console, and in a notebook."""

    @property
    @abc.abstractmethod
    def headings(self) -> Sequence[str]: ...

    @property
    @abc.abstractmethod
    def lines(self) -> Sequence[Line]: ...

    @property
    @abc.abstractmethod
    def notes(self) -> Sequence[str]: ...

    def __str__(self) -> str:
        rows = [tuple(self.headings), *(tuple(map(printable, line.cells)) for line in self.lines)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]
        return "\n".join([*table, *map(printable, self.notes)])

    __repr__ = __str__

    def __rich_console__(self, console: Any, options: Any) -> Any:
        # Only rich calls this, so it is there.
        from rich.table import Table
        from rich.text import Text

        table = Table(*self.headings, box=None, pad_edge=False, header_style="bold")
        for line in self.lines:
            table.add_row(*(Text(printable(cell)) for cell in line.cells), style="red" if line.is_marked else "")
        yield table
        yield from (Text(printable(note)) for note in self.notes)

    def _repr_html_(self) -> str:
        cells = "".join(f"<th style='text-align:left'>{html.escape(name)}</th>" for name in self.headings)
        rows = "".join(_html_row(line) for line in self.lines)
        notes = "".join(f"<div>{html.escape(printable(note))}</div>" for note in self.notes)
        return (
            f"<div style='overflow-x:auto'><table style='white-space:nowrap'><thead><tr>{cells}</tr></thead>"
            f"<tbody>{rows}</tbody></table></div>{notes}"
        )


def _html_row(line: Line) -> str:
    cells = "".join(f"<td style='text-align:left'>{html.escape(printable(cell))}</td>" for cell in line.cells)
    return f"<tr style='color:#c0392b'>{cells}</tr>" if line.is_marked else f"<tr>{cells}</tr>"


def printable(text: str) -> str:
    r"""Return the text on one line, with every character escaped that could steer a terminal.

    Example:
        >>> from jaxinit._descriptions.table import printable
        >>> print(printable("kernel\x1b[2J"))
        kernel\x1b[2J
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
