"""torch's weights into NNX models: names, files, shared modules, and what does not fit."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.torch
import torch
from flax import nnx

import jaxinit
from tests.jaxinit.models.nnx.test_load import RNGS

pytestmark = pytest.mark.usefixtures("torch_seed")


class Model(nnx.Module):
    def __init__(self) -> None:
        self.body = nnx.Sequential(nnx.Linear(3, 4, rngs=RNGS), nnx.relu, nnx.Linear(4, 4, rngs=RNGS))
        self.head = nnx.Linear(4, 2, param_dtype=jnp.bfloat16, rngs=RNGS)
        self.scale = nnx.Param(jnp.ones(2))


def torch_model() -> dict[str, torch.Tensor]:
    body = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.ReLU(), torch.nn.Linear(4, 4))
    model = torch.nn.ModuleDict({"body": body, "head": torch.nn.Linear(4, 2)})
    return {**model.state_dict(), "scale": torch.full((2,), 3.0)}


def test_names_of_sequential_and_own_parameters() -> None:
    model, state = Model(), torch_model()
    assert jaxinit.nnx.load(model, state) == {
        "body.layers.0.kernel": ("body.0.weight",),
        "body.layers.0.bias": ("body.0.bias",),
        "body.layers.2.kernel": ("body.2.weight",),
        "body.layers.2.bias": ("body.2.bias",),
        "head.kernel": ("head.weight",),
        "head.bias": ("head.bias",),
        "scale": ("scale",),
    }
    assert model.head.kernel[...].dtype == jnp.bfloat16
    np.testing.assert_array_equal(model.scale[...], [3, 3])
    np.testing.assert_array_equal(nnx.state(model)["body"]["layers"][2]["kernel"][...], state["body.2.weight"].T)


def test_all_that_does_not_fit_is_listed_and_nothing_changes() -> None:
    model, state = Model(), torch_model()
    before = jax.tree.map(np.asarray, nnx.state(model))
    state["head.weight"] = torch.zeros(3, 4)
    state["extra"] = state.pop("body.0.bias")
    with pytest.raises(ValueError, match="`state` does not fit") as raised:
        jaxinit.nnx.load(model, state)
    assert str(raised.value).splitlines()[1:] == [
        "missing body.0.bias, of shape (4,)",
        "head.weight must have shape (2, 4), got (3, 4)",
        "unexpected extra, of shape (4,)",
    ]
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), before, nnx.state(model)))


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (3, TypeError, "`state` must be a dict of arrays or the path of a safetensors file, got <class 'int'>"),
        ({1: np.ones(3)}, TypeError, "`state` must have names as keys, got 1"),
        (
            dict(torch.nn.Linear(2, 2).named_parameters()),
            TypeError,
            "`state` must hold arrays, such as torch's state_d",
        ),
    ],
    ids=["number", "keys", "parameters"],
)
def test_what_is_no_state_is_refused(state: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        jaxinit.nnx.load(Model(), state)


def test_a_pickle_is_not_loaded(tmp_path: Any) -> None:
    torch.save(torch_model(), tmp_path / "model.pt")
    with pytest.raises(ValueError, match="`state` must be a file of safetensors"):
        jaxinit.nnx.load(Model(), tmp_path / "model.pt")


def test_a_file_of_safetensors(tmp_path: Any) -> None:
    model, state = Model(), torch_model()
    state["head.weight"] = state["head.weight"].bfloat16()
    safetensors.torch.save_file(state, tmp_path / "model.safetensors")
    jaxinit.nnx.load(model, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(model.head.kernel[...].astype(np.float32), state["head.weight"].T.float())
    again = Model()
    jaxinit.nnx.load(again, state)
    assert jax.tree.all(jax.tree.map(lambda a, b: (a == b).all(), nnx.state(model), nnx.state(again)))


def test_a_shared_module_has_torchs_both_names() -> None:
    class Tied(nnx.Module):
        def __init__(self) -> None:
            self.encoder = nnx.Linear(3, 3, rngs=RNGS)
            self.decoder = self.encoder

    shared = torch.nn.Linear(3, 3)
    state = torch.nn.ModuleDict({"encoder": shared, "decoder": shared}).state_dict()
    model = Tied()
    jaxinit.nnx.load(model, state)
    np.testing.assert_array_equal(model.encoder.kernel[...], state["encoder.weight"].T)
    state["encoder.weight"] = state["encoder.weight"] + 1
    with pytest.raises(ValueError, match=r"encoder\.weight and decoder\.weight must be equal"):
        jaxinit.nnx.load(model, state)
