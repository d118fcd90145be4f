"""A table as text, for rich and as HTML."""

import abc
import dataclasses
import html
from collections.abc import Sequence
from typing import Any

_WIDE = 32
"""A longer cell may be folded."""
_MARK = "red"


@dataclasses.dataclass(frozen=True)
class Line:
    """Represent the cells of one line, and whether it should catch the eye."""

    cells: tuple[str, ...]
    is_marked: bool = False


class Printed(abc.ABC):
    """Represent a value that prints as a table with notes below it: as text, in rich's console, and in a notebook."""

    @property
    @abc.abstractmethod
    def headings(self) -> Sequence[str]: ...

    @property
    @abc.abstractmethod
    def lines(self) -> Sequence[Line]: ...

    @property
    @abc.abstractmethod
    def notes(self) -> Sequence[str]: ...

    @property
    def _text(self) -> list[tuple[str, ...]]:
        return [tuple(self.headings), *(tuple(map(printable, line.cells)) for line in self.lines)]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(*self._text, strict=True)]
        table = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in self._text]
        return "\n".join([*table, *map(printable, self.notes)])

    __repr__ = __str__

    def __rich_console__(self, console: Any, options: Any) -> Any:
        # Only rich calls this, so it is there.
        from rich.text import Text

        widths = [min(_WIDE, max(map(len, column))) for column in zip(*self._text, strict=True)]
        yield from self._rich_table(widths) if sum(widths) + 2 * len(widths) <= options.max_width else self._rich_list()
        yield from (Text(printable(note)) for note in self.notes)

    def _rich_table(self, widths: Sequence[int]) -> Any:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading, width in zip(self.headings, widths, strict=True):
            table.add_column(heading, overflow="fold", min_width=width)
        for line, row in zip(self.lines, self._text[1:], strict=True):
            table.add_row(*map(Text, row), style=_MARK if line.is_marked else "")
        yield table

    def _rich_list(self) -> Any:
        """Yield the cells of each line below its first cell, for a console that is too narrow for the table."""
        from rich.padding import Padding
        from rich.text import Text

        for line, (name, *cells) in zip(self.lines, self._text[1:], strict=True):
            named = (f"{heading} {cell}" for heading, cell in zip(self.headings[1:], cells, strict=True) if cell)
            style = _MARK if line.is_marked else ""
            yield Text(name, style=f"bold {style}", overflow="fold")
            yield Padding(Text("; ".join(named), style=style, overflow="fold"), (0, 0, 0, 2))

    def _repr_html_(self) -> str:
        rows = "".join(_html_row(line) for line in self.lines)
        notes = "".join(f"<div>{html.escape(printable(note))}</div>" for note in self.notes)
        head = f"<thead><tr>{_html_cells('th', self.headings)}</tr></thead>"
        table = f"<table style='white-space:nowrap'>{head}<tbody>{rows}</tbody></table>"
        return f"<div style='overflow-x:auto'>{table}</div>{notes}"


def _html_row(line: Line) -> str:
    cells = _html_cells("td", line.cells)
    return f"<tr style='color:#c0392b'>{cells}</tr>" if line.is_marked else f"<tr>{cells}</tr>"


def _html_cells(tag: str, cells: Sequence[str]) -> str:
    return "".join(f"<{tag} style='{_html_style(cell)}'>{html.escape(printable(cell))}</{tag}>" for cell in cells)


def _html_style(cell: str) -> str:
    """Return the style of a cell, of which a long one is folded at spaces."""
    folded = f";white-space:normal;min-width:{_WIDE // 2}em" if len(cell) > _WIDE else ""
    return f"text-align:left;vertical-align:top;padding:2px 1em 2px 0{folded}"


def printable(text: str) -> str:
    r"""Return the text on one line, with every character escaped that could steer a terminal.

    Example:
        >>> from jaxinit._descriptions.table import printable
        >>> print(printable("kernel\x1b[2J"))
        kernel\x1b[2J
    """
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
