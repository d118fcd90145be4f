"""Recorded calls are torch's, and what cannot be known is said."""

import math

import pytest
import torch

from jaxinit_conformance.reference import torch_modules
from jaxinit_conformance.reference.expected import Expected, constant


def tensors(build: torch_modules.Build) -> dict[str, torch_modules.Recorded]:
    return torch_modules.record(build)[1]


def test_linear_is_uniform_by_its_fan_in() -> None:
    found = tensors(lambda: torch.nn.Linear(16, 9))
    assert set(found) == {"weight", "bias"}
    for one in found.values():
        assert one.expected.kind == "uniform"
        assert one.expected.low == pytest.approx(-0.25, rel=1e-15)
        assert one.expected.high == pytest.approx(0.25, rel=1e-15)


def test_the_last_call_that_reaches_every_entry_decides() -> None:
    def build() -> torch.nn.Module:
        layer = torch.nn.Linear(4, 3)
        torch.nn.init.normal_(layer.weight, 1.0, 0.5)
        torch.nn.init.constant_(layer.bias, 0.25)
        return layer

    found = tensors(build)
    assert found["weight"].expected == Expected("normal", 1.0, 0.5)
    assert found["bias"].expected == constant(0.25)
    assert [call.operation for call in found["weight"].calls] == ["uniform_", "normal_"]


def test_padding_is_an_exception() -> None:
    weight = tensors(lambda: torch.nn.Embedding(10, 4, padding_idx=2))["weight"]
    assert weight.expected == Expected("normal", 0.0, 1.0)
    assert [(call.start, call.size, call.expected.loc) for call in weight.exceptions] == [(8, 4, 0.0)]


def test_copies_have_the_calls_of_their_originals() -> None:
    layer = torch.nn.TransformerEncoderLayer
    found = tensors(lambda: torch.nn.TransformerEncoder(layer(8, 2, 16, batch_first=True), 2))
    for name, one in found.items():
        if name.startswith("layers.0."):
            assert found[name.replace("layers.0.", "layers.1.")] == one


def test_buffers_and_numbers_given_when_made_count() -> None:
    found = tensors(lambda: torch.nn.BatchNorm2d(3))
    values = {name: one.expected.loc for name, one in found.items()}
    assert values == {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
    assert tensors(torch.nn.PReLU)["weight"].expected == constant(0.25)


def test_what_is_not_known_is_not_guessed() -> None:
    def scaled() -> torch.nn.Module:
        layer = torch.nn.Linear(4, 3)
        with torch.no_grad():
            layer.weight.mul_(0.5)
        return layer

    with pytest.raises(LookupError, match="mul_"):
        _ = tensors(scaled)["weight"].expected


def test_a_tensor_that_was_never_set_says_so() -> None:
    class Unset(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.empty(3))

    with pytest.raises(LookupError, match="never set"):
        _ = tensors(Unset)["weight"].expected


def test_distance_tells_kinds_and_numbers_apart() -> None:
    one = Expected("uniform", -1.0, 2.0, -1.0, 1.0)
    assert one.distance(one) == 0
    assert one.distance(None) == math.inf
    assert one.distance(Expected("triangular", -1.0, 2.0, -1.0, 1.0)) == math.inf
    assert one.distance(Expected("uniform", -1.0, 2.5, -1.0, 1.5)) == pytest.approx(0.25)
    assert constant(0.0).distance(constant(0.5)) == 0.5
