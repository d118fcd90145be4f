"""NNX layers without a module in torch: Einsum, LoRA, WeightNorm, and Linen modules in `nnx.bridge.ToNNX`."""

import math
import warnings
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.nnx.test_models import arrays
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2

RNGS = nnx.Rngs(0)


@pytest.mark.parametrize(
    ("equation", "kernel", "bias", "fan_in", "fan_out"),
    [
        ("btd,dhk->bthk", (8, 2, 5), (2, 5), 8, 10),
        ("...d,df->...f", (8, 3), (3,), 8, 3),
        ("b t h k, h k d -> b t d", (2, 5, 8), (8,), 10, 8),
        ("nta,hab->nthb", (2, 8, 5), (2, 5), 8, 10),
        ("betd,edh->beth", (4, 8, 3), (4, 3), 8, 3),  # an expert for each e
    ],
)
def test_fans_of_an_einsum_are_those_of_its_equation(
    equation: str, kernel: Any, bias: Any, fan_in: int, fan_out: int
) -> None:
    layer = nnx.Einsum(equation, kernel, bias, rngs=RNGS)
    inits: Any = jaxinit.nnx.initializers(layer)
    assert inits["bias"] == jaxinit.uniform(-1 / math.sqrt(fan_in), 1 / math.sqrt(fan_in))
    assert jaxinit.calculate_fan_in_and_fan_out(kernel, inits["kernel"].layout) == (fan_in, fan_out)
    jaxinit.nnx.reset_parameters(layer, RNGS)
    assert 0.5 / math.sqrt(fan_in) < abs(layer.kernel[...]).max() <= 1 / math.sqrt(fan_in)
    jaxinit.nnx.apply(layer, lambda _: {"kernel": jaxinit.xavier_uniform(math.sqrt((fan_in + fan_out) / 6))}, RNGS)
    assert 0.5 < abs(layer.kernel[...]).max() <= 1


@as_on_avx2
def test_an_einsum_is_torchs_linear_from_a_seed(seed: int) -> None:
    layer = jaxinit.nnx.init(lambda rngs: nnx.Einsum("bd,dhk->bhk", (8, 2, 5), (2, 5), rngs=rngs), TorchGenerator(seed))
    torch.manual_seed(seed)
    theirs = torch.nn.Linear(8, 10)
    np.testing.assert_array_equal(layer.kernel[...].reshape(8, 10).T, theirs.weight.detach())
    assert layer.bias is not None
    np.testing.assert_array_equal(layer.bias[...].reshape(10), theirs.bias.detach())


@pytest.mark.parametrize("equation", ["d,hd->dh", "bd,hk->bdhk", "bd,...d->b", "bd,dhk->bh"])
def test_an_equation_that_shows_no_linear_has_no_rule(equation: str) -> None:
    assert not jaxinit.nnx.initializers(nnx.Einsum(equation, (3, 3), (3,), rngs=RNGS))


@pytest.mark.parametrize("layer", [nnx.LoRA(64, 4, 32, rngs=RNGS), nnx.LoRALinear(64, 32, lora_rank=4, rngs=RNGS).lora])
def test_lora_is_drawn_as_the_original_code_draws_it(layer: nnx.LoRA, seed: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        jaxinit.nnx.reset_parameters(layer, nnx.Rngs(seed))
    a, b = layer.lora_a[...], layer.lora_b[...]
    assert 0.115 < abs(a).max() <= 1 / math.sqrt(64)
    assert not b.any()


@pytest.mark.skipif(not hasattr(nnx, "WeightNorm"), reason="flax 0.12.0 has no nnx.WeightNorm")
def test_weight_norm_leaves_the_layer_as_it_is() -> None:
    def build(rngs: nnx.Rngs) -> nnx.WeightNorm:
        return nnx.WeightNorm(nnx.Conv(3, 4, (2, 2), rngs=rngs), rngs=rngs)

    for source in (nnx.Rngs(0), TorchGenerator(0)):
        model = jaxinit.nnx.init(build, source)
        conv = nnx.clone(model.layer_instance)
        x = jnp.linspace(-1, 1, 2 * 5 * 5 * 3).reshape(2, 5, 5, 3)
        np.testing.assert_allclose(conv(x), model(x), rtol=0, atol=1e-5)
        jaxinit.nnx.reset_parameters(model, RNGS)
        conv = nnx.clone(model.layer_instance)
        np.testing.assert_allclose(conv(x), model(x), rtol=0, atol=1e-5)


@pytest.mark.skipif(not hasattr(nnx, "WeightNorm"), reason="flax 0.12.0 has no nnx.WeightNorm")
def test_scales_that_were_given_stay() -> None:
    twos = nnx.initializers.constant(2.0)
    model = nnx.WeightNorm(nnx.Linear(3, 4, rngs=RNGS), scale_init=twos, rngs=RNGS)
    jaxinit.nnx.reset_parameters(model, RNGS)
    (scale,) = jax.tree.leaves(model.scales)
    assert (scale == 2).all()


def test_a_linen_layer_in_nnx_has_the_rule_of_the_layer() -> None:
    def build(rngs: nnx.Rngs) -> nnx.Sequential:
        dense = nnx.bridge.ToNNX(nn.Dense(4), rngs=rngs).lazy_init(jnp.ones((1, 64)))
        return nnx.Sequential(dense, nnx.Linear(4, 4, rngs=rngs))

    def init_weights(module: Any) -> Any:
        asked.append(type(module))
        return {"kernel": jaxinit.ones()} if isinstance(module, nn.Dense) else None

    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        for model in (build(RNGS), jaxinit.nnx.init(build, RNGS)):
            assert jaxinit.nnx.initializers(model)["layers.0.bias"] == jaxinit.uniform(-1 / 8, 1 / 8)
            before = arrays(model)["layers.0.bias"]
            jaxinit.nnx.reset_parameters(model, RNGS)
            assert (before != arrays(model)["layers.0.bias"]).any()
            assert abs(arrays(model)["layers.0.bias"]).max() <= 1 / 8
    asked: list[type] = []
    jaxinit.nnx.apply(model, init_weights, RNGS)
    assert (arrays(model)["layers.0.kernel"] == 1).all()
    assert asked == [nn.Dense, nnx.bridge.ToNNX, nnx.Linear, *([nnx.List] if nnx.List in asked else []), nnx.Sequential]


def test_an_initializer_that_was_given_to_a_linen_layer_stays() -> None:
    def build(rngs: nnx.Rngs) -> Any:
        dense = nn.Dense(4, kernel_init=jaxinit.constant(3.0))
        return nnx.bridge.ToNNX(dense, rngs=rngs).lazy_init(jnp.ones((1, 64)))

    for source in (nnx.Rngs(0), TorchGenerator(0)):
        drawn = arrays(jaxinit.nnx.init(build, source))
        assert (drawn["kernel"] == 3).all()
        assert 0.05 < abs(drawn["bias"]).max() <= 1 / 8
