"""Flax Linen: every kind of layer, under its transformations."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import jaxinit
from jaxinit import FLAX_CONV_TRANSPOSE, TORCH
from tests.jaxinit import cases
from tests.jaxinit.draws import FALSE_ALARM

KAIMING = jaxinit.kaiming_normal()
BIAS = jaxinit.uniform(-0.5, 0.5)

# A layer, the shape it is fed, its parameter, the parameter's shape, and the deviation expected of it.
LAYERS: list[tuple[nn.Module, tuple[int, ...], str, tuple[int, ...], float]] = [
    (nn.Dense(48, kernel_init=KAIMING), (1, 40), "kernel", (40, 48), math.sqrt(2 / 40)),
    (
        nn.DenseGeneral((8, 12), kernel_init=KAIMING),
        (1, 40),
        "kernel",
        (40, 8, 12),
        math.sqrt(2 / 40),
    ),
    (nn.Conv(32, (3,), kernel_init=KAIMING), (1, 9, 16), "kernel", (3, 16, 32), math.sqrt(2 / 48)),
    (nn.Conv(32, (3, 2), kernel_init=KAIMING), (1, 5, 5, 16), "kernel", (3, 2, 16, 32), math.sqrt(2 / 96)),
    (nn.Conv(16, (2, 2, 2), kernel_init=KAIMING), (1, 3, 3, 3, 8), "kernel", (2, 2, 2, 8, 16), math.sqrt(2 / 64)),
    (
        nn.Conv(32, (3, 3), feature_group_count=4, kernel_init=KAIMING),
        (1, 5, 5, 32),
        "kernel",
        (3, 3, 8, 32),
        math.sqrt(2 / 72),
    ),
    (
        nn.ConvTranspose(32, (3, 3), kernel_init=jaxinit.kaiming_normal(layout=FLAX_CONV_TRANSPOSE)),
        (1, 5, 5, 8),
        "kernel",
        (3, 3, 8, 32),
        math.sqrt(2 / (32 * 9)),
    ),
    (
        nn.ConvTranspose(32, (3, 3), transpose_kernel=True, kernel_init=KAIMING),
        (1, 5, 5, 8),
        "kernel",
        (3, 3, 32, 8),
        math.sqrt(2 / (32 * 9)),
    ),
    (nn.Embed(100, 16, embedding_init=jaxinit.normal()), (1,), "embedding", (100, 16), 1.0),
    (
        nn.Embed(100, 16, embedding_init=jaxinit.xavier_normal(layout=TORCH)),
        (1,),
        "embedding",
        (100, 16),
        math.sqrt(2 / 116),
    ),
    (nn.LayerNorm(scale_init=jaxinit.normal(std=0.2)), (1, 600), "scale", (600,), 0.2),
    (
        nn.BatchNorm(use_running_average=True, scale_init=jaxinit.normal(std=0.2)),
        (1, 600),
        "scale",
        (600,),
        0.2,
    ),
]


def assert_deviation(values: Any, std: float) -> None:
    """The sum of squares over std^2 is chi-square: both tails are refused."""
    values = np.asarray(values, np.float64)
    statistic = ((values / std) ** 2).sum()
    assert FALSE_ALARM < stats.chi2.cdf(statistic, values.size) < 1 - FALSE_ALARM


@pytest.mark.parametrize(
    ("layer", "fed", "parameter", "shape", "std"), LAYERS, ids=lambda value: type(value).__name__[:12]
)
def test_every_layer_takes_an_initializer(
    layer: nn.Module, fed: tuple[int, ...], parameter: str, shape: tuple[int, ...], std: float, seed: int
) -> None:
    inputs = jnp.zeros(fed, jnp.int32 if isinstance(layer, nn.Embed) else jnp.float32)
    values = layer.init(jax.random.key(seed), inputs)["params"][parameter]
    assert values.shape == shape
    assert_deviation(values, std)


@pytest.mark.parametrize("cell", [nn.LSTMCell, nn.OptimizedLSTMCell, nn.GRUCell])
def test_recurrent_cells(cell: Any, seed: int) -> None:
    layer = cell(24, kernel_init=jaxinit.xavier_normal(), recurrent_kernel_init=jaxinit.orthogonal(), bias_init=BIAS)
    state = jnp.zeros((1, 24))
    carry = state if cell is nn.GRUCell else (state, state)
    params = layer.init(jax.random.key(seed), carry, jnp.zeros((1, 20)))["params"]
    for name, gate in params.items():
        kernel = np.asarray(gate["kernel"])
        if name.startswith("h"):
            np.testing.assert_allclose(kernel.T @ kernel, np.eye(24), atol=1e-5)
        else:
            assert_deviation(kernel, math.sqrt(2 / 44))
    biases = [gate["bias"] for gate in params.values() if "bias" in gate]
    assert biases
    assert all(bool((abs(bias) <= 0.5).all() & (bias != 0).any()) for bias in biases)


def test_multi_head_attention(seed: int) -> None:
    # Flax merges the heads before it asks for a kernel, so the plain layout counts them.
    layer = nn.MultiHeadDotProductAttention(
        num_heads=4, qkv_features=32, kernel_init=jaxinit.xavier_normal(), out_kernel_init=KAIMING, bias_init=BIAS
    )
    params = layer.init(jax.random.key(seed), jnp.zeros((1, 3, 24)), jnp.zeros((1, 3, 24)))["params"]
    for name in ("query", "key", "value"):
        assert params[name]["kernel"].shape == (24, 4, 8)
        assert_deviation(params[name]["kernel"], math.sqrt(2 / (24 + 32)))
    assert params["out"]["kernel"].shape == (4, 8, 24)
    assert_deviation(params["out"]["kernel"], math.sqrt(2 / 32))
    assert bool((params["query"]["bias"] != 0).any())


def test_scan_stacks_layers_each_drawn_alone(seed: int) -> None:
    class Block(nn.Module):
        @nn.compact
        def __call__(self, carry: jax.Array, _: None) -> tuple[jax.Array, None]:
            return nn.Dense(16, kernel_init=jaxinit.orthogonal())(carry), None

    layers = nn.scan(Block, variable_axes={"params": 0}, split_rngs={"params": True}, length=3)()
    kernels = layers.init(jax.random.key(seed), jnp.zeros((1, 16)), None)["params"]["Dense_0"]["kernel"]
    assert kernels.shape == (3, 16, 16)
    for kernel in np.asarray(kernels):
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(16), atol=1e-5)
    assert abs(kernels[0] - kernels[1]).max() > 1e-3


def test_vmap_stacks_experts_with_their_own_fans(seed: int) -> None:
    experts = nn.vmap(nn.Dense, variable_axes={"params": 0}, split_rngs={"params": True}, in_axes=None, axis_size=5)
    kernels = experts(24, kernel_init=KAIMING).init(jax.random.key(seed), jnp.zeros((1, 20)))["params"]["kernel"]
    assert kernels.shape == (5, 20, 24)
    assert_deviation(kernels, math.sqrt(2 / 20))


@pytest.mark.parametrize("name", [name for name in cases.NAMES if name != "dirac"])
def test_with_partitioning_lays_parameters_out(name: str, seed: int) -> None:
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(jax.sharding.AxisType.Auto,) * 2)
    layer = nn.Dense(16, kernel_init=nn.with_partitioning(cases.build(name), ("x", "y")))
    alone = nn.Dense(16, kernel_init=cases.build(name)).init(jax.random.key(seed), jnp.zeros((1, 8)))
    abstract = jax.eval_shape(layer.init, jax.random.key(seed), jnp.zeros((1, 8)))
    shardings = nn.get_sharding(abstract, mesh)
    params = nn.unbox(jax.jit(layer.init, out_shardings=shardings)(jax.random.key(seed), jnp.zeros((1, 8))))
    kernel = params["params"]["kernel"]
    assert kernel.sharding.spec == jax.sharding.PartitionSpec("x", "y")
    cases.assert_same(name, kernel, alone["params"]["kernel"])


def test_modules_with_fresh_equal_initializers_are_equal_and_traced_once() -> None:
    def module() -> nn.Dense:
        return nn.Dense(4, kernel_init=jaxinit.kaiming_uniform(a=math.sqrt(5)), bias_init=jaxinit.uniform(-1, 1))

    traced = []

    def draw(layer: nn.Dense, key: jax.Array) -> Any:
        traced.append(layer)
        return layer.init(key, jnp.zeros((1, 3)))

    assert module() == module()
    assert hash(module()) == hash(module())
    # While it checks for leaks jax remembers no trace.
    with jax.check_tracer_leaks(False):
        compiled = jax.jit(draw, static_argnums=0)
        compiled(module(), jax.random.key(0))
        compiled(module(), jax.random.key(1))
    assert len(traced) == 1


def test_param_dtype_reaches_the_initializer(seed: int) -> None:
    layer = nn.Dense(16, param_dtype=jnp.bfloat16, kernel_init=jaxinit.normal(dtype="float32"))
    kernel = layer.init(jax.random.key(seed), jnp.zeros((1, 8), jnp.bfloat16))["params"]["kernel"]
    assert kernel.dtype == jnp.bfloat16


@pytest.mark.parametrize("name", cases.NAMES)
def test_an_uncalled_factory_says_so(name: str) -> None:
    layer = nn.Dense(3, kernel_init=cases.FACTORIES[name])
    with pytest.raises(TypeError, match=rf"did you mean `{name}\(\)`\?"):
        layer.init(jax.random.key(0), jnp.zeros((1, 2)))
