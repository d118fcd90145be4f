"""Arithmetic on a draw gives the distribution of the result, or none where there is no name for it."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import jaxinit
from jaxinit.distributions import Constant, Normal, TruncatedNormal, Uniform

KNOWN: dict[str, tuple[Callable[[], Tensor], Any]] = {
    "scaled uniform": (lambda: torch.rand(9) * 4 - 1, Uniform(-1.0, 3.0)),
    "number minus uniform": (lambda: 1 - torch.rand(9) * 2, Uniform(-1.0, 1.0)),
    "negative": (lambda: -(torch.randn(9) * 2 + 1), Normal(-1.0, 2.0)),
    "quotient": (lambda: torch.randn(9) / 4, Normal(0.0, 0.25)),
    "sum with a multiple": (lambda: torch.randn(9).add(torch.ones(9), alpha=2), Normal(2.0, 1.0)),
    "constant first": (lambda: torch.full((9,), 3.0) * torch.randn(9), Normal(0.0, 3.0)),
    "difference to a constant": (lambda: torch.ones(9) - torch.rand(9), Uniform(0.0, 1.0)),
    "times zero": (lambda: torch.randn(9) * 0 + 2, Constant(2.0)),
    "parts of one distribution": (lambda: torch.cat([torch.randn(4), torch.randn(5)]), Normal(0.0, 1.0)),
    "clamped where nothing is": (lambda: torch.rand(9).clamp(-1, 2), Uniform(0.0, 1.0)),
    "clamped far out": (lambda: (torch.randn(9) * 0.02).clamp_(-2, 2), TruncatedNormal(0.0, 0.02, -2.0, 2.0)),
    "clamped on one side": (lambda: torch.randn(9).clamp_min(-9), TruncatedNormal(0.0, 1.0, -9.0, math.inf)),
    "erfinv of all": (lambda: (torch.rand(9) * 2 - 1).erfinv() * math.sqrt(2), Normal(0.0, 1.0)),
    "transposed": (lambda: torch.randn(2, 3).t(), Normal(0.0, 1.0)),
}
UNKNOWN: dict[str, Callable[[], Tensor]] = {
    "clamped where many are": lambda: torch.rand(9).clamp(0.5, 2),
    "clamped near": lambda: torch.randn(9).clamp(-2, 2),
    "parts of two distributions": lambda: torch.cat([torch.randn(4), torch.rand(5)]),
    "sum of two draws": lambda: torch.randn(9) + torch.randn(9),
    "quotient of a number": lambda: 1 / (torch.rand(9) + 1),
    "rounded": lambda: torch.div(torch.rand(9) * 9, 2, rounding_mode="floor"),
    "row by row": lambda: torch.randn(2, 3) * torch.arange(3.0),
    "exponential": lambda: torch.rand(9).exp(),
    "times infinity": lambda: torch.rand(9) * math.inf,
    "plus infinity": lambda: torch.randn(9) + math.inf,
}


class One(nn.Module):
    def __init__(self, make: Callable[[], Tensor]) -> None:
        super().__init__()
        self.one = nn.Parameter(make())


@pytest.mark.parametrize("name", KNOWN)
def test_the_distribution_is_known(name: str) -> None:
    make, expected = KNOWN[name]
    (parameter,) = jaxinit.record(lambda: One(make)).parameters
    assert type(parameter.distribution) is type(expected)
    assert vars(parameter.distribution) == pytest.approx(vars(expected), rel=1e-12)


@pytest.mark.parametrize("name", UNKNOWN)
def test_where_there_is_no_name_there_is_none(name: str) -> None:
    (parameter,) = jaxinit.record(lambda: One(UNKNOWN[name])).parameters
    assert parameter.distribution is None
