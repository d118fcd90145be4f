"""Write the table of docs/background/faults.md to docs/tables: `python docs/scripts/fault_table.py`."""

from pathlib import Path

from jaxinit_conformance import suite
from jaxinit_conformance.faults import catch
from jaxinit_conformance.report.write import fault_row

HEAD = ("fault", "initializer", "caught by", "got", "expected", "samples")


def write(path: Path) -> None:
    """Plant every fault once, and write what caught it as a Markdown table."""
    caught = catch.catch_all(suite.fresh_seed())
    rows = [HEAD, ["---"] * len(HEAD), *map(fault_row, caught)]
    path.write_text("".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows))


if __name__ == "__main__":
    write(Path(__file__).parents[1] / "tables" / "faults.md")
