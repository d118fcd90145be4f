"""Gains, against torch's own."""

import math
import typing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxinit

NONLINEARITIES: tuple[str, ...] = typing.get_args(typing.get_type_hints(torch.nn.init.calculate_gain)["nonlinearity"])


@pytest.mark.parametrize("nonlinearity", NONLINEARITIES)
@pytest.mark.parametrize("param", [None, 0, 0.0, 0.2, math.sqrt(5), -3, 1e10])
def test_gain_is_torchs(nonlinearity: str, param: float | None) -> None:
    gain = jaxinit.calculate_gain(nonlinearity, param)
    assert gain == torch.nn.init.calculate_gain(nonlinearity, param)  # type: ignore[arg-type]  # torch wants a Literal
    assert type(gain) is float


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e100, max_value=1e100))
def test_leaky_relus_gain_is_torchs_for_every_slope(slope: float) -> None:
    assert jaxinit.calculate_gain("leaky_relu", slope) == torch.nn.init.calculate_gain("leaky_relu", slope)


def test_an_activation_without_a_gain_is_answered_with_the_usual_choice() -> None:
    with pytest.raises(ValueError, match=r"got 'gelu'\. torch has no gain for it, and 'relu' is the usual choice$"):
        jaxinit.kaiming_normal(nonlinearity="gelu")


@pytest.mark.parametrize("nonlinearity", ["hardswish", "ReLU", "", None, 3, ["relu"]])
def test_an_unknown_nonlinearity_is_refused_as_in_torch(nonlinearity: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        torch.nn.init.calculate_gain(nonlinearity)  # type: ignore[arg-type]  # which is refused
    with pytest.raises(ValueError, match=r"`nonlinearity` must be one of 'linear'.*'selu', got ") as error:
        jaxinit.calculate_gain(nonlinearity)
    assert str(error.value).endswith(f"got {nonlinearity!r}")
    assert all(repr(name) in str(error.value) for name in NONLINEARITIES)


@pytest.mark.parametrize("param", [True, False, "0.1", [0.1]])
def test_a_slope_that_is_no_number_is_refused_as_in_torch(param: float) -> None:
    with pytest.raises(ValueError, match="not a valid number"):
        torch.nn.init.calculate_gain("leaky_relu", param)
    with pytest.raises(ValueError, match="`param` must be a real number, got "):
        jaxinit.calculate_gain("leaky_relu", param)


@pytest.mark.parametrize("param", [math.nan, math.inf, -math.inf])
def test_a_slope_that_is_not_finite_is_refused(param: float) -> None:
    with pytest.raises(ValueError, match=rf"`param` must be .*, got {param}"):
        jaxinit.calculate_gain("leaky_relu", param)


def test_slopes_of_numpy_are_numbers() -> None:
    assert jaxinit.calculate_gain("leaky_relu", np.float64(0.2)) == jaxinit.calculate_gain("leaky_relu", 0.2)
