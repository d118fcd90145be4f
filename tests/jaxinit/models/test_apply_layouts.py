"""`apply` gives an initializer the layout of the layer, and asks the modules inside torch's modules."""

import math
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit

KEY, RNGS = jax.random.key(0), nnx.Rngs(0)
X, IMAGE = jnp.zeros((1, 3, 64)), jnp.zeros((1, 8, 8, 16))


def of_nnx(layer: nnx.Module, name: str, init: jaxinit.Initializer, key: Any = KEY) -> np.ndarray:
    """The array that `apply` draws for the outermost module."""
    jaxinit.nnx.apply(layer, lambda module: {name: init} if module is layer else None, key)
    array: Any = layer
    for part in name.split("."):
        array = getattr(array, part)
    return np.asarray(array[...])


def of_linen(layer: nn.Module, name: str, init: jaxinit.Initializer, x: jax.Array, key: Any = KEY) -> np.ndarray:
    variables = layer.init(KEY, x)
    variables = jaxinit.linen.apply(
        layer, variables, lambda module: {name: init} if type(module) is type(layer) else None, key, x
    )
    array = variables["params"]
    for part in name.split("."):
        array = array[part]
    return np.asarray(array)


# The array that `apply` draws, and the fans of torch's weight.
Case = tuple[Callable[[jaxinit.Initializer], np.ndarray], tuple[int, int]]
CASES: dict[str, Case] = {
    "nnx LinearGeneral": (
        lambda init: of_nnx(nnx.LinearGeneral(64, (4, 8), rngs=RNGS), "kernel", init),
        (64, 32),
    ),
    "nnx attention query": (
        lambda init: of_nnx(nnx.MultiHeadAttention(4, 64, decode=False, rngs=RNGS), "query.kernel", init),
        (64, 64),
    ),
    "nnx attention out": (
        lambda init: of_nnx(nnx.MultiHeadAttention(4, 64, decode=False, rngs=RNGS), "out.kernel", init),
        (64, 64),
    ),
    "nnx ConvTranspose": (
        lambda init: of_nnx(nnx.ConvTranspose(16, 32, (3, 3), rngs=RNGS), "kernel", init),
        (32 * 9, 16 * 9),
    ),
    "nnx Conv": (lambda init: of_nnx(nnx.Conv(16, 32, (3, 3), rngs=RNGS), "kernel", init), (16 * 9, 32 * 9)),
    "linen DenseGeneral": (lambda init: of_linen(nn.DenseGeneral((4, 8)), "kernel", init, X), (64, 32)),
    "linen attention out": (
        lambda init: of_linen(nn.MultiHeadDotProductAttention(4), "out.kernel", init, X),
        (64, 64),
    ),
    "linen ConvTranspose": (
        lambda init: of_linen(nn.ConvTranspose(32, (3, 3)), "kernel", init, IMAGE),
        (32 * 9, 16 * 9),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_one_initializer_has_torchs_fans_in_every_layer(name: str) -> None:
    draw, (fan_in, fan_out) = CASES[name]
    # The largest of a thousand or more uniform numbers is within a few percent of the bound.
    for init, bound in (
        (jaxinit.kaiming_uniform(a=math.sqrt(5)), 1 / math.sqrt(fan_in)),
        (jaxinit.xavier_uniform(), math.sqrt(6 / (fan_in + fan_out))),
    ):
        assert bound * 0.97 < abs(draw(init)).max() <= bound


def test_the_parts_of_an_initializer_have_torchs_fans_too() -> None:
    """A transposed convolution has the inputs of torch's fans in its last axis."""
    he = jaxinit.kaiming_uniform(nonlinearity="relu")
    composed = jaxinit.composed
    for init, shape in (
        (composed.concatenated([he, he]), (2, 2, 4, 4)),
        (0.5 * composed.concatenated([he, he]), (2, 2, 4, 4)),
        (composed.with_zero_row(he, 0), (2, 2, 4, 8)),
    ):
        layer = nnx.ConvTranspose(4, 8, (2, 2), rngs=nnx.Rngs(0))
        scale = 0.5 if init == 0.5 * composed.concatenated([he, he]) else 1
        bound = scale * math.sqrt(6 / (4 * shape[-1]))
        for key in (KEY, jaxinit.TorchGenerator(0)):
            drawn = of_nnx(layer, "kernel", init, key)
            assert bound * 0.8 < abs(drawn).max() <= bound * (1 + 1e-6)


def test_a_layout_of_ones_own_is_kept() -> None:
    own = jaxinit.kaiming_uniform(a=math.sqrt(5), layout=jaxinit.Layout(in_axis=-1, out_axis=-2))
    kernel = of_nnx(nnx.Linear(16, 256, rngs=RNGS), "kernel", own)
    assert abs(kernel).max() <= 1 / math.sqrt(256)


def test_an_orthogonal_attention_kernel_is_orthogonal_as_torchs_matrix() -> None:
    kernel = CASES["nnx attention query"][0](jaxinit.orthogonal()).reshape(64, 64)
    np.testing.assert_allclose(kernel @ kernel.T, np.eye(64), atol=1e-4)


@pytest.mark.parametrize("init", [jaxinit.orthogonal(), jaxinit.kaiming_uniform(a=math.sqrt(5))], ids=str)
def test_each_layer_of_an_nnx_stack_is_drawn_by_itself(init: jaxinit.Initializer) -> None:
    @nnx.split_rngs(splits=12)
    @nnx.vmap(in_axes=(0,), out_axes=0)
    def stack(rngs: nnx.Rngs) -> nnx.Linear:
        return nnx.Linear(32, 32, rngs=rngs)

    layers: nnx.Linear = stack(nnx.Rngs(0))
    kernels = of_nnx(layers, "kernel", init)
    assert kernels.shape == (12, 32, 32)
    for kernel in kernels:
        if isinstance(init, jaxinit.orthogonal):
            np.testing.assert_allclose(kernel @ kernel.T, np.eye(32), atol=1e-4)
        else:
            assert 0.97 / math.sqrt(32) < abs(kernel).max() <= 1 / math.sqrt(32)


def test_what_is_a_module_inside_torchs_module_is_asked() -> None:
    asked: list[str] = []

    def note(module: Any) -> None:
        asked.append(type(module).__name__)

    jaxinit.nnx.apply(nnx.MultiHeadAttention(4, 64, decode=False, rngs=RNGS), note, KEY)
    assert asked == ["LinearGeneral", "MultiHeadAttention"]  # torch's out_proj, and the whole
    asked.clear()
    jaxinit.nnx.apply(nnx.GRUCell(4, 8, rngs=RNGS), note, KEY)
    assert asked == ["GRUCell"]
    asked.clear()
    jaxinit.nnx.apply(nnx.LoRALinear(4, 8, lora_rank=2, rngs=RNGS), note, KEY)
    assert asked == ["LoRA", "LoRALinear"]


def test_attentions_out_is_drawn_as_the_linear_that_it_is_in_torch() -> None:
    attention = nnx.MultiHeadAttention(4, 64, decode=False, rngs=RNGS)
    query = np.asarray(attention.query.kernel[...])
    jaxinit.nnx.apply(
        attention,
        lambda module: {"kernel": jaxinit.constant(0.5)} if isinstance(module, nnx.LinearGeneral) else None,
        KEY,
    )
    assert (attention.out.kernel[...] == 0.5).all()
    np.testing.assert_array_equal(attention.query.kernel[...], query)
