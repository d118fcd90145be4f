"""Linen models from a TorchGenerator hold torch's own numbers: modules as they are called, stacks layer by layer."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2

X = jax.ShapeDtypeStruct((2, 6, 6, 3), jnp.float32)


class Block(nn.Module):
    """Stacked three times in the model."""

    @nn.compact
    def __call__(self, x: Any, _: Any = None) -> Any:
        y = nn.Dense(16, name="fc1")(nn.LayerNorm(name="norm")(x))
        return x + nn.Dense(8, name="fc2")(nn.relu(y)), None


class Model(nn.Module):
    """One of each kind. torch draws them in the order in which they are called here."""

    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = nn.Conv(8, (3, 3), name="conv")(x).mean((1, 2))
        stack: Any = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
        x, _ = stack(name="blocks")(x, None)
        x = nn.MultiHeadDotProductAttention(2, name="attention")(x[None])
        x = nn.RNN(nn.OptimizedLSTMCell(8, name="lstm_l0"))(x)
        x = nn.RNN(nn.GRUCell(8, name="gru_l0"))(x)
        return nn.Dense(3, name="head")(x)


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(8)
        self.fc1 = torch.nn.Linear(8, 16)
        self.fc2 = torch.nn.Linear(16, 8)


class TorchModel(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 8, 3)
        self.blocks = torch.nn.ModuleList([TorchBlock() for _ in range(3)])
        self.attention = torch.nn.MultiheadAttention(8, 2)
        self.lstm = torch.nn.LSTM(8, 8)
        self.gru = torch.nn.GRU(8, 8)
        self.head = torch.nn.Linear(8, 3)


def torchs(seed: int) -> TorchModel:
    torch.manual_seed(seed)
    return TorchModel()


def assert_torchs(variables: Any, model: torch.nn.Module) -> None:
    """The variables are those that torch's state would give."""
    expected, _ = jaxinit.linen.load(Model(), variables, model.state_dict(), X)
    jax.tree.map(np.testing.assert_array_equal, variables, expected)


@as_on_avx2
def test_a_model_is_built_as_torch_builds_it(seed: int) -> None:
    variables = jaxinit.linen.init(Model(), TorchGenerator(seed), X)
    assert_torchs(variables, torchs(seed))


@as_on_avx2
def test_reset_parameters_draws_the_same(seed: int) -> None:
    variables = jaxinit.linen.init(Model(), jax.random.key(0), X)
    again = jaxinit.linen.reset_parameters(Model(), variables, TorchGenerator(seed), X)
    assert_torchs(again, torchs(seed))


@as_on_avx2
def test_another_order_is_torchs_names(seed: int) -> None:
    class HeadFirst(TorchModel):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)
            self.head = torch.nn.Linear(8, 3)
            rest = TorchModel()
            for name in ("conv", "blocks", "attention", "lstm", "gru"):
                setattr(self, name, getattr(rest, name))

    torch.manual_seed(seed)
    model = HeadFirst()
    variables = jaxinit.linen.init(Model(), TorchGenerator(seed), X, order=list(model.state_dict()))
    assert_torchs(variables, model)
    with pytest.raises(ValueError, match="`order` must name"):
        jaxinit.linen.init(Model(), TorchGenerator(seed), X, order=["head", "conv"])


@as_on_avx2
def test_apply_draws_as_torchs_apply_does(seed: int) -> None:
    def in_torch(module: torch.nn.Module) -> None:
        if type(module) is torch.nn.Linear:
            torch.nn.init.xavier_uniform_(module.weight)
            torch.nn.init.uniform_(module.bias)

    def in_linen(module: nn.Module) -> dict[str, jaxinit.Initializer] | None:
        is_linear = isinstance(module, nn.Dense)
        return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.uniform()} if is_linear else None

    model = torchs(seed)
    variables = jaxinit.linen.init(Model(), TorchGenerator(seed), X)
    torch.manual_seed(seed + 1)
    model.apply(in_torch)
    assert_torchs(jaxinit.linen.apply(Model(), variables, in_linen, TorchGenerator(seed + 1), X), model)


def test_it_is_refused_where_numbers_would_be_constants() -> None:
    with pytest.raises(TypeError, match="under jit, eval_shape or scan, got a TorchGenerator"):
        jax.jit(lambda: jaxinit.linen.init(Model(), TorchGenerator(0), jnp.zeros(X.shape)))()


def test_layers_with_a_registered_rule_are_drawn_in_their_turn_and_in_stacks(seed: int) -> None:
    class Scale(nn.Module):
        @nn.compact
        def __call__(self, x: Any, _: Any = None) -> Any:
            return x * self.param("gain", nn.initializers.zeros, (20,)), None

    class Scaled(nn.Module):
        @nn.compact
        def __call__(self, x: Any) -> Any:
            x, _ = Scale(name="first")(nn.Dense(20, name="fc")(x))
            stack: Any = nn.scan(Scale, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)
            return stack(name="more")(x, None)[0]

    jaxinit.linen.register(Scale, lambda _, __: {"gain": jaxinit.normal()})
    params = jaxinit.linen.init(Scaled(), TorchGenerator(seed), jnp.zeros(4))["params"]
    generator = TorchGenerator(seed)
    fc = jaxinit.defaults.linear(4)
    np.testing.assert_array_equal(params["fc"]["kernel"], fc["kernel_init"](generator, (4, 20)))
    np.testing.assert_array_equal(params["fc"]["bias"], fc["bias_init"](generator, (20,)))
    np.testing.assert_array_equal(params["first"]["gain"], jaxinit.normal()(generator, (20,)))
    for layer in params["more"]["gain"]:
        np.testing.assert_array_equal(layer, jaxinit.normal()(generator, (20,)))


@as_on_avx2
def test_the_zero_row_that_an_embedding_was_built_with_is_kept(seed: int) -> None:
    torch.manual_seed(seed)
    theirs = torch.nn.Embedding(7, 3, padding_idx=2).weight.detach()
    own: Any = jaxinit.defaults.embedding(2)
    for key in (TorchGenerator(seed), jax.random.key(seed)):
        params = jaxinit.linen.init(nn.Embed(7, 3, **own), key, jnp.zeros(1, int))["params"]
        assert not params["embedding"][2].any()
        if isinstance(key, TorchGenerator):
            np.testing.assert_array_equal(params["embedding"], theirs)
