"""Where jaxinit differs from torch on purpose: each row of the table in docs/background/conformance.md holds."""

import math
from typing import Any

import pytest

import jaxinit
from jaxinit_conformance.checks.interface import Call, target_outcome, torch_outcome
from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.targets import Target
from tests.conformance.test_docs import rows

ROWS = rows("background/conformance.md", "| call | shape in torch | torch | jaxinit | reason |")


def call(text: str, shape: str) -> Call:
    """The call that a cell of the table writes down."""

    def named(name: str) -> Any:
        return lambda **arguments: Call(name, tuple(arguments.items()), eval(shape))

    found: Call = eval(text, {"nan": math.nan, **{name: named(name) for name in torch_init.initializers()}})
    return found


@pytest.mark.parametrize(("text", "shape", "torch", "ours", "reason"), ROWS, ids=[row[0] for row in ROWS])
def test_the_difference_is_as_told(text: str, shape: str, torch: str, ours: str, reason: str) -> None:
    told = call(text, shape)
    assert (torch_outcome(told), target_outcome(Target("jaxinit", jaxinit), told)) == (torch, ours)
    assert torch != ours
    assert reason
