"""Distributions as values, against torch's arithmetic and scipy's integrals."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

import jaxinit
from jaxinit import FLAX_CONV_TRANSPOSE, TORCH, Layout
from jaxinit.distributions import Constant, Distribution, Normal, TruncatedNormal, Uniform
from tests.jaxinit import cases
from tests.jaxinit.initializers.test_gains import NONLINEARITIES

GAINS = st.floats(0.0, 1e6)
SHAPES = st.lists(st.integers(1, 7), min_size=2, max_size=5).map(tuple)
MODES = st.sampled_from(["fan_in", "fan_out", "FAN_IN", "Fan_Out"])


def torch_std(shape: tuple[int, ...], name: str, **arguments: Any) -> float:
    """The standard deviation by torch's own functions. `shape` is torch's."""
    fan_in, fan_out = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape, device="meta"))
    if name.startswith("xavier"):
        return float(arguments["gain"]) * math.sqrt(2.0 / float(fan_in + fan_out))
    fan = torch.nn.init._calculate_correct_fan(torch.empty(shape, device="meta"), arguments["mode"])
    return torch.nn.init.calculate_gain(arguments["nonlinearity"], arguments["a"]) / math.sqrt(fan)


def assert_is_torchs(name: str, distribution: Distribution, std: float) -> None:
    if name.endswith("uniform"):
        bound = math.sqrt(3.0) * std
        assert isinstance(distribution, Uniform)
        np.testing.assert_allclose(distribution.support, (-bound, bound), rtol=4e-16, atol=0)
    else:
        assert isinstance(distribution, Normal)
        np.testing.assert_allclose(distribution.std, std, rtol=4e-16, atol=0)
    assert distribution.mean == 0


@pytest.mark.parametrize("name", ["xavier_uniform", "xavier_normal"])
@given(shape=SHAPES, gain=GAINS)
@settings(deadline=None)
def test_xavier_is_torchs(name: str, shape: tuple[int, ...], gain: float) -> None:
    out, into, *spatial = shape
    std = torch_std(shape, name, gain=gain)
    init: Any = cases.FACTORIES[name]
    assert_is_torchs(name, init(gain, layout=TORCH).distribution(shape), std)
    assert_is_torchs(name, init(gain).distribution((*spatial, into, out)), std)
    assert_is_torchs(name, init(gain, layout=FLAX_CONV_TRANSPOSE).distribution((*spatial, out, into)), std)


@pytest.mark.parametrize("name", ["kaiming_uniform", "kaiming_normal"])
@given(shape=SHAPES, a=st.floats(-1e6, 1e6), mode=MODES, nonlinearity=st.sampled_from(NONLINEARITIES))
@settings(deadline=None)
def test_kaiming_is_torchs(name: str, shape: tuple[int, ...], a: float, mode: str, nonlinearity: str) -> None:
    out, into, *spatial = shape
    std = torch_std(shape, name, a=a, mode=mode, nonlinearity=nonlinearity)
    init: Any = cases.FACTORIES[name]
    assert_is_torchs(name, init(a, mode, nonlinearity, layout=TORCH).distribution(shape), std)
    assert_is_torchs(name, init(a, mode, nonlinearity).distribution((*spatial, into, out)), std)
    stacked = init(a, mode, nonlinearity, layout=Layout(batch_axis=0))
    assert_is_torchs(name, stacked.distribution((9, *spatial, into, out)), std)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("xavier_uniform", {"gain": 1.7}),
        ("kaiming_uniform", {"a": math.sqrt(5)}),
        ("kaiming_uniform", {"mode": "fan_out", "nonlinearity": "relu"}),
        ("kaiming_uniform", {"nonlinearity": "tanh"}),
    ],
)
@pytest.mark.parametrize("shape", [(11, 5), (7, 3, 2), (4, 6, 3, 5), (2, 3, 4, 5, 6)])
def test_bounds_are_those_that_torch_applies(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    # With one seed torch's scaled sample is its unscaled sample times its bound.
    scaled, unscaled = (torch.empty(shape, dtype=torch.float64) for _ in range(2))
    cases.torch_function(name)(scaled, **arguments, generator=torch.Generator().manual_seed(1))
    torch.nn.init.uniform_(unscaled, -1.0, 1.0, generator=torch.Generator().manual_seed(1))
    bound = float(scaled.abs().sum() / unscaled.abs().sum())
    init: Any = cases.FACTORIES[name](**arguments, layout=TORCH)
    np.testing.assert_allclose(init.distribution(shape).support, (-bound, bound), rtol=2e-15)


@pytest.mark.parametrize(
    ("name", "arguments"), [("xavier_normal", {"gain": 0.3}), ("kaiming_normal", {"mode": "fan_out"}), ("normal", {})]
)
@pytest.mark.parametrize("shape", [(11, 5), (7, 3, 2), (4, 6, 3, 5)])
def test_stds_are_those_that_torch_applies(name: str, arguments: dict[str, Any], shape: tuple[int, ...]) -> None:
    scaled, unscaled = (torch.empty(shape, dtype=torch.float64) for _ in range(2))
    cases.torch_function(name)(scaled, **arguments, generator=torch.Generator().manual_seed(1))
    torch.nn.init.normal_(unscaled, generator=torch.Generator().manual_seed(1))
    layout = {"layout": TORCH} if name in cases.WITH_LAYOUT else {}
    init: Any = cases.FACTORIES[name](**arguments, **layout)
    std = float(scaled.abs().sum() / unscaled.abs().sum())
    np.testing.assert_allclose(init.distribution(shape).std, std, rtol=2e-15)


def test_the_plain_ones_are_what_they_are_told() -> None:
    assert jaxinit.uniform().distribution((2,)) == Uniform(0.0, 1.0)
    assert jaxinit.uniform(-3, 2).distribution(()) == Uniform(-3.0, 2.0)
    assert jaxinit.normal().distribution(()) == Normal(0.0, 1.0)
    assert jaxinit.normal(-3, 2).distribution((1, 2)) == Normal(-3.0, 2.0)
    assert jaxinit.trunc_normal().distribution(()) == TruncatedNormal(0.0, 1.0, -2.0, 2.0)
    assert jaxinit.trunc_normal(1, 2, 3, 4).distribution(()) == TruncatedNormal(1.0, 2.0, 3.0, 4.0)
    assert jaxinit.constant(0.1).distribution(()) == Constant(0.1)
    assert jaxinit.zeros().distribution(()) == Constant(0.0)
    assert jaxinit.ones().distribution(()) == Constant(1.0)


@settings(deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_uniforms_moments(low: float, width: float) -> None:
    high = low + width
    distribution, reference = Uniform(low, high), stats.uniform(low, high - low)
    assert distribution.kind == "uniform"
    assert distribution.support == (low, high)
    np.testing.assert_allclose(distribution.mean, reference.mean(), rtol=1e-15, atol=1e-15 * width)
    np.testing.assert_allclose(distribution.std, reference.std(), rtol=1e-15)


def test_normals_and_constants_moments() -> None:
    normal, constant = Normal(1.0, 2.0), Constant(0.3)
    assert (normal.kind, normal.mean, normal.std, normal.support) == ("normal", 1.0, 2.0, (-math.inf, math.inf))
    assert (constant.kind, constant.mean, constant.std, constant.support) == ("constant", 0.3, 0.0, (0.3, 0.3))


@given(st.floats(-4, 4), st.floats(0.01, 8), st.floats(-10, 10), st.floats(1e-3, 1e3))
@settings(deadline=None)
def test_truncated_moments_are_scipys_in_ordinary_windows(low: float, width: float, loc: float, scale: float) -> None:
    assume(low < 3)
    distribution = TruncatedNormal(loc, scale, loc + scale * low, loc + scale * (low + width))
    reference = stats.truncnorm(*distribution.window, loc, scale)
    np.testing.assert_allclose(distribution.mean, reference.mean(), rtol=1e-9, atol=1e-9 * scale)
    np.testing.assert_allclose(distribution.std, reference.std(), rtol=1e-6)


def exact_moments(low: float, high: float) -> tuple[float, float]:
    """Mean and std of N(0, 1) on [low, high] from the closed form, with digits enough for its cancellation."""
    with mpmath.workdps(120):
        low, high = mpmath.mpf(low), mpmath.mpf(high)
        mass = (mpmath.erfc(low / mpmath.sqrt(2)) - mpmath.erfc(high / mpmath.sqrt(2))) / 2
        at_low, at_high = (mpmath.npdf(end) if mpmath.isfinite(end) else mpmath.mpf(0) for end in (low, high))
        mean = (at_low - at_high) / mass
        ends = [end * density if density else 0 for end, density in ((low, at_low), (high, at_high))]
        return float(mean), float(mpmath.sqrt(1 + (ends[0] - ends[1]) / mass - mean**2))


WINDOWS = [
    (-2.0, 2.0),
    (0.0, math.inf),
    (-math.inf, 1.0),
    (-math.inf, math.inf),
    (-40.0, 50.0),
    (8.0, 9.0),
    (12.0, 13.0),
    (-13.0, -12.0),
    (12.0, math.inf),
    (30.0, 31.0),
    (5.0, 500.0),
    (-1e-3, 1e-3),
    (1.0, 1.0 + 2.0**-20),
    (20.0, 20.0 + 2.0**-20),
    (0.5, 0.5 + 2.0**-40),
]


@pytest.mark.parametrize(("low", "high"), WINDOWS)
@pytest.mark.parametrize(("loc", "scale"), [(0.0, 1.0), (0.0, 0.25)])
def test_truncated_moments_are_exact_in_every_window(low: float, high: float, loc: float, scale: float) -> None:
    mean, std = exact_moments(low, high)
    distribution = TruncatedNormal(loc, scale, scale * low, scale * high)
    np.testing.assert_allclose(distribution.mean, scale * mean, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(distribution.std, scale * std, rtol=1e-9)


def test_truncated_moments_far_beyond_any_sample() -> None:
    # So far out the variable is exponential, with rate `low`.
    distribution = TruncatedNormal(0.0, 1.0, 1e5, math.inf)
    np.testing.assert_allclose(distribution.mean - 1e5, 1e-5, rtol=1e-5)
    np.testing.assert_allclose(distribution.std, 1e-5, rtol=1e-6)


def test_a_window_of_one_point() -> None:
    distribution = TruncatedNormal(0.0, 1.0, 0.5, 0.5)
    assert (distribution.mean, distribution.std) == (0.5, 0.0)


def test_far_windows_keep_their_moments() -> None:
    assert TruncatedNormal(0.0, 1e-30, 1.0, 2.0).mean == 1.0
    assert TruncatedNormal(1e10, 1.0, -2.0, 2.0).std == pytest.approx(1e-10, rel=1e-6)
    assert TruncatedNormal(1e10, 1.0, -2.0, 2.0).mean == pytest.approx(2.0 - 1e-10, rel=1e-15)
    assert Uniform(1e308, 1.5e308).mean == 1.25e308
