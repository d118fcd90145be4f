"""Haiku's modules, which pass no key."""

import math
import pickle
from typing import Any

import haiku
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit

KEY = jax.random.key(0)
HAIKU: Any = haiku


def test_haiku_draws_with_its_next_key() -> None:
    init = jaxinit.haiku.initializer(jaxinit.kaiming_uniform())
    bias = jaxinit.haiku.initializer(jaxinit.constant(0.1))

    def forward(x: Any) -> Any:
        for _ in range(2):
            x = HAIKU.Linear(4, w_init=init, b_init=bias)(x)
        return HAIKU.Conv1DTranspose(6, 3, w_init=init)(x[None])

    params = HAIKU.transform(forward).init(KEY, jnp.ones((2, 4)))
    first, second, conv = (params[name]["w"] for name in ("linear", "linear_1", "conv1_d_transpose"))
    assert params["linear"]["b"].tolist() == [np.float32(0.1)] * 4
    assert not np.intersect1d(first, second).size
    assert 0.7 < float(abs(first).max()) * math.sqrt(4 / 6) <= 1
    assert conv.shape == (3, 6, 4)
    assert float(abs(conv).max()) <= math.sqrt(6 / (6 * 3))  # torch's fan_in counts the outputs
    assert init == pickle.loads(pickle.dumps(init))


def test_haikus_constants_need_no_key() -> None:
    init = jaxinit.haiku.initializer(jaxinit.ones())
    forward = HAIKU.transform(lambda: HAIKU.get_parameter("w", (3,), init=init))
    assert forward.init(None)["~"]["w"].tolist() == [1, 1, 1]


UNIFORM = jaxinit.kaiming_uniform(a=math.sqrt(5))  # bound 1 / sqrt(fan_in)
INIT = jaxinit.haiku.initializer(UNIFORM)
# A call of a module, the shape of its input, and for each weight torch's layer that has the same one.
MODULES: dict[str, tuple[Any, tuple[int, ...], dict[str, torch.Tensor]]] = {
    "Linear": (lambda x: HAIKU.Linear(24, w_init=INIT)(x), (1, 16), {"linear": torch.nn.Linear(16, 24).weight}),
    "Conv2D": (
        lambda x: HAIKU.Conv2D(24, (3, 5), feature_group_count=2, w_init=INIT)(x),
        (1, 8, 8, 16),
        {"conv2_d": torch.nn.Conv2d(16, 24, (3, 5), groups=2).weight},
    ),
    "Conv2DTranspose": (
        lambda x: HAIKU.Conv2DTranspose(24, 3, w_init=INIT)(x),
        (1, 8, 8, 4),
        {"conv2_d_transpose": torch.nn.ConvTranspose2d(4, 24, 3).weight},
    ),
    "DepthwiseConv2D": (
        lambda x: HAIKU.DepthwiseConv2D(2, 3, w_init=INIT)(x),
        (1, 8, 8, 16),
        {"depthwise_conv2_d": torch.nn.Conv2d(16, 32, 3, groups=16).weight},
    ),
    "MultiHeadAttention": (
        lambda x: HAIKU.MultiHeadAttention(3, 8, model_size=32, w_init=INIT)(x, x, x),
        (1, 3, 16),
        {
            "multi_head_attention/query": torch.nn.Linear(16, 24).weight,
            "multi_head_attention/value": torch.nn.Linear(16, 24).weight,
            "multi_head_attention/linear": torch.nn.Linear(24, 32).weight,
        },
    ),
}


@pytest.mark.parametrize("name", MODULES)
def test_each_module_of_haiku_has_the_fans_of_torchs_layer(name: str) -> None:
    """The largest of 100 entries is below 0.75 of the bound with probability 3e-13, and never above the bound."""
    call, shape, weights = MODULES[name]
    params = HAIKU.transform(call).init(KEY, jnp.zeros(shape))
    for module, of_torch in weights.items():
        fan_in, _ = torch.nn.init._calculate_fan_in_and_fan_out(of_torch)
        assert params[module]["w"].size >= 100
        assert 0.75 < float(abs(params[module]["w"]).max()) * math.sqrt(fan_in) <= 1 + 1e-6, module


def test_modules_without_arguments_take_it_from_a_creator() -> None:
    """`hk.LSTM` has no `w_init`. torch draws every weight and bias from U(-1 / sqrt(hidden), 1 / sqrt(hidden))."""
    init = jaxinit.haiku.initializer(jaxinit.uniform(-1 / 4, 1 / 4))

    def forward(x: Any) -> Any:
        lstm = HAIKU.LSTM(16)
        with HAIKU.custom_creator(lambda create, shape, dtype, _, context: create(shape, dtype, init)):
            return lstm(x, lstm.initial_state(1))[0]

    params = HAIKU.transform(forward).init(KEY, jnp.zeros((1, 8)))["lstm/linear"]
    assert params["w"].shape == (8 + 16, 4 * 16)
    for weight in params.values():
        assert 0.7 < float(abs(weight).max()) * 4 <= 1
