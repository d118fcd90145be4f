"""Which arrays of two models are one parameter: as `load` matches them, or by name."""

from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import torch
from flax import nnx

import jaxinit
from tests import seeds


class TorchNet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.norm = torch.nn.BatchNorm2d(8)
        self.attention = torch.nn.MultiheadAttention(8, 2)
        self.rnn = torch.nn.LSTM(4, 6)
        self.fc = torch.nn.Linear(8, 8)


class Net(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.conv = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.attention = nnx.MultiHeadAttention(2, 8, decode=False, rngs=rngs)
        self.rnn = nnx.RNN(nnx.OptimizedLSTMCell(4, 6, rngs=rngs))
        self.fc = nnx.Linear(8, 8, rngs=rngs)


@pytest.fixture
def state(torch_seed: None) -> dict[str, torch.Tensor]:
    return dict(TorchNet().state_dict())


def loaded(state: Any) -> Net:
    model = jaxinit.nnx.init(Net, nnx.Rngs(0))
    jaxinit.nnx.load(model, state)
    return model


def test_a_loaded_model_is_equal_to_the_state_it_was_loaded_from(state: Any) -> None:
    model = loaded(state)
    found = jaxinit.compare(model, state)
    assert found.equal
    assert found.same
    names = {row.name: row.other for row in found.rows}
    assert names["conv.kernel"] == "conv.weight"
    assert names["attention.query.kernel"] == "attention.in_proj_weight"
    assert names["rnn.cell.dense_h.bias"] == "rnn.bias_ih_l0 + rnn.bias_hh_l0"
    turned = jaxinit.compare(state, model)
    assert turned.equal
    assert {row.other: row.name for row in turned.rows} == names
    assert {row.shapes for row in found.rows} == {row.shapes[::-1] for row in turned.rows}


def test_one_entry_that_differs_is_seen(state: Any) -> None:
    model: Any = loaded(state)
    model.fc.kernel[...] = model.fc.kernel[...].at[1, 2].add(0.25)
    found = jaxinit.compare(model, state)
    assert not found.equal
    (row,) = (row for row in found.rows if row.verdict != "equal")
    assert row.name == "fc.kernel"
    assert row.difference == pytest.approx(0.25)


def test_what_is_missing_left_over_or_of_another_shape_is_told(state: Any) -> None:
    del state["conv.bias"]
    state |= {"extra": torch.ones(2), "fc.weight": torch.ones(8, 9)}
    found = jaxinit.compare(jaxinit.nnx.init(Net, nnx.Rngs(0)), state)
    assert found.missing == ("conv.bias", "fc.kernel")
    assert found.unexpected == ("extra",)
    assert found.problems == ("fc.weight must have shape (8, 8), got (8, 9)",)
    assert not found.same
    assert "fc.weight must have shape (8, 8), got (8, 9)" in str(found).splitlines()
    turned = jaxinit.compare(state, jaxinit.nnx.init(Net, nnx.Rngs(0)))
    assert (turned.missing, turned.unexpected) == (found.unexpected, found.missing)


def test_rename_and_transposed_are_those_of_load(state: Any) -> None:
    model = loaded(state)
    state = {f"net.{name}": tensor for name, tensor in state.items()}
    state["net.fc.weight"] = state["net.fc.weight"].T
    found = jaxinit.compare(model, state, rename=lambda name: name.removeprefix("net."), transposed="fc.weight")
    assert found.equal


def test_a_checkpoint_is_compared_by_its_path(state: Any, tmp_path: Path) -> None:
    model = loaded(state)
    path = tmp_path / "model.safetensors"
    path.write_bytes(safetensors.numpy.save({name: tensor.numpy() for name, tensor in state.items()}))
    assert jaxinit.compare(model, path).equal
    assert jaxinit.compare(str(path), state).equal


def test_two_models_are_compared_by_path() -> None:
    seed = seeds.fresh(__name__)
    one, other = (jaxinit.nnx.init(Net, nnx.Rngs(each)) for each in (seed, seed + 1))
    assert jaxinit.compare(one, nnx.clone(one)).equal
    found = jaxinit.compare(one, other)
    assert found.same
    assert not found.equal
    verdicts = {row.name: row.verdict for row in found.rows}
    assert verdicts["norm.scale"] == "equal"
    assert verdicts["rnn.cell.dense_h.kernel"] == "too few entries to tell"


class Scanned(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        block = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        return nn.Dense(2, name="head")(block(name="blocks")(x, None)[0])


class Block(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
        return nn.Dense(4, name="fc")(x), None


def torch_stack() -> dict[str, torch.Tensor]:
    model = torch.nn.ModuleDict(
        {
            "blocks": torch.nn.ModuleList(torch.nn.ModuleDict({"fc": torch.nn.Linear(4, 4)}) for _ in range(3)),
            "head": torch.nn.Linear(4, 2),
        }
    )
    return dict(model.state_dict())


def test_variables_of_linen_are_compared_with_their_module(torch_seed: None) -> None:
    module, x, state = Scanned(), jnp.ones((1, 4)), torch_stack()
    variables = module.init(jax.random.key(0), x)
    assert not jaxinit.compare(variables, state, module, x, train=True).equal
    variables, _ = jaxinit.linen.load(module, variables, state, x)
    found = jaxinit.compare(variables, state, module, x)
    assert found.equal
    names = {row.name: row.other for row in found.rows}
    assert names["blocks.fc.kernel"] == "blocks.0.fc.weight + blocks.1.fc.weight + blocks.2.fc.weight"
    assert jaxinit.compare(state, variables, module, x).equal
    assert jaxinit.compare(variables, variables, module, x).equal
    assert jaxinit.compare(variables, variables).equal
    del state["blocks.1.fc.bias"]
    assert jaxinit.compare(variables, state, module, x).missing == ("blocks.fc.bias",)


def test_variables_are_compared_with_an_nnx_model_by_path() -> None:
    module, x = nn.Dense(3), jnp.ones((1, 2))
    variables = module.init(jax.random.key(0), x)
    layer: Any = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    layer.kernel[...] = variables["params"]["kernel"]
    assert jaxinit.compare(layer, variables, module, x).equal


def test_a_module_without_variables_is_refused() -> None:
    state = {"weight": np.ones((3, 2), np.float32)}
    with pytest.raises(TypeError, match=r"^`module` must be the module of `a` or `b`, got Dense\("):
        jaxinit.compare(state, state, nn.Dense(3), jnp.ones((1, 2)))


def test_two_nnx_models_have_no_linen_module() -> None:
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    for other in (layer, {"weight": np.ones((3, 2), np.float32)}):
        with pytest.raises(TypeError, match=r"^`module` must be the module of `a` or `b`, got Dense\("):
            jaxinit.compare(layer, other, nn.Dense(3), jnp.ones((1, 2)))


def test_a_flat_dict_with_names_of_flax_is_compared_by_path() -> None:
    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    state = {"kernel": np.asarray(layer.kernel[...]), "bias": np.zeros(3, np.float32)}
    for other in (state, nnx.state(layer)):
        assert jaxinit.compare(layer, other).equal
        assert jaxinit.compare(other, layer).equal


def test_transposed_needs_a_model_with_rules() -> None:
    tree = {"weight": np.ones((3, 2))}
    with pytest.raises(ValueError, match=r"^`transposed` is for a model beside torch's tensors, got '\*'$"):
        jaxinit.compare(tree, tree, transposed="*")
    with pytest.raises(ValueError, match=r"^`transposed` must match a parameter or tensor, got 'absent'"):
        jaxinit.compare(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), tree, transposed="absent")


def test_rename_must_give_each_its_own_name() -> None:
    with pytest.raises(ValueError, match=r"^`rename` must give each tensor its own name, got 'a' for 'a' and 'b'$"):
        jaxinit.compare({"a": np.ones(1)}, {"a": np.ones(1), "b": np.ones(1)}, rename={"b": "a"})


@pytest.mark.parametrize("argument", ["a", "b"])
def test_what_holds_no_array_is_refused(argument: str) -> None:
    sides: dict[str, Any] = {"a": {"weight": np.ones(1)}, "b": {"weight": np.ones(1)}, argument: None}
    with pytest.raises(TypeError, match=rf"^`{argument}` must hold arrays of numbers, got NoneType without one$"):
        jaxinit.compare(**sides)


@pytest.mark.parametrize("argument", ["a", "b"])
def test_a_checkpoint_that_cannot_be_read_is_told_by_its_argument(argument: str, tmp_path: Path) -> None:
    (tmp_path / "x.safetensors").write_bytes(b"")
    for beside in (nnx.Linear(2, 3, rngs=nnx.Rngs(0)), {"weight": np.ones(1)}):
        sides: dict[str, Any] = {"a": beside, "b": beside, argument: tmp_path / "x.safetensors"}
        with pytest.raises(ValueError, match=rf"^`{argument}` must be a file of safetensors, or of torch\.save"):
            jaxinit.compare(**sides)
