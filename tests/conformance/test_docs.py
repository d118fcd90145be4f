"""Pages that speak of checks speak of those that there are."""

import re
from pathlib import Path

import pytest

import jaxinit
from jaxinit_conformance import suite
from jaxinit_conformance.checks import elementwise, independence
from jaxinit_conformance.faults import catch
from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.targets import Target

DOCS = Path(__file__).parents[2] / "docs"
DETECTED = elementwise.DETECTED | independence.DETECTED
JAXINIT = Target("jaxinit", jaxinit)


def rows(page: str, heading: str) -> list[list[str]]:
    """The table under the line of its headings, without what marks code."""
    table = (DOCS / page).read_text().partition(heading + "\n")[2].partition("\n\n")[0]
    return [[cell.strip().strip("`") for cell in line.split("|")[1:-1]] for line in table.splitlines()[1:]]


def test_every_statistic_and_promise_is_told() -> None:
    checks, _ = suite.plan(JAXINIT, 0)
    found = {
        (re.sub(r" (along axis \d+|\[.*\])", "", check.claim), check.statistic)
        for check in checks
        if check.statistic and check.initializer in torch_init.initializers()
    }
    told = rows("background/conformance.md", "| claim | statistic | deviation | caught |")
    assert {(claim, statistic) for claim, statistic, _, _ in told} == found
    detected = {claim: f"{fine:g}, {coarse:g}" for claim, (fine, coarse) in DETECTED.items()}
    assert {claim: caught for claim, _, _, caught in told if claim in detected} == detected


@pytest.mark.parametrize("heading", ["| claim | judged | false alarms |", "| fault | judged | misses |"])
def test_every_claim_and_fault_was_calibrated(heading: str) -> None:
    checks, _ = suite.plan(JAXINIT, 0, quick=True)
    claims = {check.claim for check in checks}
    faults = {f"{fault.name} ({fault.initializer})" for fault in catch.FAULTS}
    told = rows("background/calibration.md", heading)
    assert {name for name, _, _ in told} == (claims if "claim" in heading else faults)
    assert {wrong for _, _, wrong in told} == {"0"}


def test_every_fault_is_in_the_table_of_faults() -> None:
    """To write it anew: python docs/scripts/fault_table.py."""
    told = rows("tables/faults.md", "| fault | initializer | caught by | got | expected | samples |")
    assert sorted((name, initializer) for name, initializer, *_ in told) == sorted(
        (fault.name, fault.initializer) for fault in catch.FAULTS
    )
    assert all(caught_by for _, _, caught_by, *_ in told)
