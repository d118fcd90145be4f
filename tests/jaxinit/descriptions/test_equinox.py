"""Models of Equinox are described and compared by the rules of their layers."""

from typing import Any

import equinox as eqx
import jax
import numpy as np
import torch

import jaxinit
from tests import seeds

KEY = jax.random.key(seeds.fresh(__name__))


class Net(eqx.Module):
    """Layers whose defaults differ from torch's, and one with state."""

    linear: eqx.nn.Linear
    up: eqx.nn.ConvTranspose2d
    norm: eqx.nn.BatchNorm
    lstm: eqx.nn.LSTMCell
    act: Any = jax.nn.relu

    def __init__(self, key: jax.Array) -> None:
        one, two, three = jax.random.split(key, 3)
        self.linear = eqx.nn.Linear(40, 50, key=one)
        self.up = eqx.nn.ConvTranspose2d(4, 60, 2, key=two)
        self.norm = eqx.nn.BatchNorm(16, "batch", mode="batch")
        self.lstm = eqx.nn.LSTMCell(20, 90, key=three)


def marks(model: Any) -> dict[str, bool | None]:
    return {row.path: row.is_default for row in jaxinit.describe(model).rows}


def test_a_model_with_torchs_defaults_has_no_mark() -> None:
    model = jaxinit.equinox.init(eqx.nn.make_with_state(Net), KEY)
    found = marks(model)
    assert {"linear.weight", "up.bias", "norm.running_mean", "lstm.weight_hh"} <= found.keys()
    assert set(found.values()) <= {True, None}
    assert found["linear.weight"] is found["norm.running_var"] is True


def test_defaults_of_equinox_that_differ_are_marked() -> None:
    marked = {path for path, is_default in marks(eqx.nn.make_with_state(Net)(KEY)).items() if is_default is False}
    assert {"up.weight", "up.bias", "lstm.bias"} <= marked
    assert not marked & {"linear.weight", "linear.bias", "norm.weight", "norm.bias"}


def test_what_load_made_is_equal_to_torchs_tensors() -> None:
    linear = torch.nn.Linear(40, 50)
    model = eqx.nn.Linear(40, 50, key=KEY)
    found = jaxinit.compare(model, linear.state_dict())
    assert [row.verdict == "equal" for row in found.rows] == [False, False]
    loaded, _ = jaxinit.equinox.load(model, linear.state_dict())
    assert jaxinit.compare(loaded, linear.state_dict()).equal
    assert jaxinit.compare(linear.state_dict(), loaded).equal
    assert jaxinit.compare(loaded, model).missing == ()


def test_arrays_without_a_rule_have_the_layout_of_torch() -> None:
    class Own(eqx.Module):
        weight: jax.Array

    (row,) = jaxinit.describe(Own(jaxinit.kaiming_normal(layout=jaxinit.TORCH)(KEY, (200, 90)))).rows
    assert (row.drawn_from, row.is_default) == (("kaiming_normal(), fan_in 90",), None)
    assert np.isnan(row.detectable)
