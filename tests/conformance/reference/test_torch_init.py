import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.reference.expected import Expected


def test_initializers_are_all_of_torchs() -> None:
    assert set(torch_init.initializers()) == {
        name[:-1] for name in dir(torch.nn.init) if name.endswith("_") and name[0] != "_"
    }


@pytest.mark.parametrize(
    ("name", "arguments", "low", "high"),
    [
        ("uniform", {"a": -0.1, "b": 0.3}, -0.1, 0.3),
        ("xavier_uniform", {"gain": 2.0}, -2 * math.sqrt(6 / (9 * 104)), 2 * math.sqrt(6 / (9 * 104))),
        ("kaiming_uniform", {"a": math.sqrt(5)}, -1 / math.sqrt(576), 1 / math.sqrt(576)),
    ],
)
def test_uniform_bounds_are_recovered(name: str, arguments: dict[str, float], low: float, high: float) -> None:
    found = torch_init.expected(name, arguments, (40, 64, 3, 3))
    assert found.kind == "uniform"
    assert max(abs(found.low - low), abs(found.high - high)) < 1e-15 * (high - low) * 4


def test_normal_numbers_are_recovered() -> None:
    found = torch_init.expected("normal", {"mean": 0.3, "std": 0.02}, (40, 64))
    assert abs(found.loc - 0.3) < 1e-16 * 4
    assert abs(found.scale - 0.02) < 1e-17 * 4


@pytest.mark.parametrize(
    "expected",
    [
        Expected("uniform", -1.0, 3.0, -1.0, 2.0),
        Expected("normal", 0.5, 2.0),
        Expected("truncated_normal", 0.0, 1.0, -2.0, 2.0),
        Expected("truncated_normal", 0.0, 1.0, 8.0, 9.0),
        Expected("truncated_normal", 1.0, 2.0, -1000.0, 1000.0),
    ],
)
def test_moments_agree_with_scipys(expected: Expected) -> None:
    mean, variance, skewness, kurtosis = map(float, expected.scipy.stats("mvsk"))
    assert expected.mean == pytest.approx(mean, rel=1e-9)
    if expected.low != 8.0:  # scipy's own variance cancels far out
        assert expected.std == pytest.approx(math.sqrt(variance), rel=1e-9)
        assert expected.moment(3) == pytest.approx(skewness, abs=1e-6)
        assert expected.moment(4) == pytest.approx(kurtosis + 3, rel=1e-6)


def test_far_truncated_normal_has_the_right_spread() -> None:
    found = Expected("truncated_normal", 0.0, 1.0, 8.0, 9.0)
    density = stats.truncnorm(8, 9).pdf
    mean = integrate.quad(lambda x: x * density(x), 8, 9, epsabs=1e-13)[0]
    variance = integrate.quad(lambda x: (x - mean) ** 2 * density(x), 8, 9, epsabs=1e-13)[0]
    assert found.std == pytest.approx(math.sqrt(variance), rel=1e-9)


@pytest.mark.parametrize("shape", [(40, 24, 3, 5), (7, 3), (96, 4, 2)])
def test_fans_are_torchs(shape: tuple[int, ...]) -> None:
    assert torch_init.fans(shape) == torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))


def test_torchs_generator_is_left_as_it_was() -> None:
    torch.manual_seed(3)
    first = torch.rand(1)
    torch.manual_seed(3)
    with torch_init.seeded(7):
        torch_init.fill("sparse", {"sparsity": 0.5}, (4, 4), "float32")
    assert torch.rand(1) == first


def test_bfloat16_draws_are_torchs_to_the_bit() -> None:
    with torch_init.seeded(1):
        drawn = torch_init.fill("normal", {}, (100,), "bfloat16")[0]
    with torch_init.seeded(1):
        torchs = torch.empty(100, dtype=torch.bfloat16).normal_()
    assert (drawn.astype(np.float32) == torchs.float().numpy()).all()
