"""The page made from the reports of other libraries cannot drift: it is held against reports of today, of any seed."""

import runpy
from pathlib import Path

import pytest

SCRIPT = runpy.run_path(str(Path(__file__).parent.parent.parent / "docs" / "scripts" / "same_name.py"))


def written(target: str) -> dict[str, str]:
    """A column of the page, by call."""
    _, head, table = SCRIPT["PAGE"].read_text().rpartition(SCRIPT["HEAD"])
    heads, _, *lines = ([part.strip() for part in line.split("|")] for line in f"{head}{table}".splitlines())
    return {line[1]: line[heads.index(target)] for line in lines}


@pytest.mark.usefixtures("rare_alarms")
@pytest.mark.parametrize("target", SCRIPT["TARGETS"])
def test_the_page_says_what_a_fresh_report_says(target: str, seed: int) -> None:
    """To write it anew: python docs/scripts/same_name.py."""
    assert SCRIPT["column"](target, seed) == written(target)
