"""Flax NNX: every kind of layer, under its transformations."""

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from jaxinit import FLAX_CONV_TRANSPOSE, TORCH
from tests.jaxinit import cases
from tests.jaxinit.models.linen.test_linen import BIAS, KAIMING, assert_deviation

Build = Callable[[nnx.Rngs], Any]

# A layer, its parameter, the parameter's shape, and the deviation expected of it.
LAYERS: list[tuple[Build, str, tuple[int, ...], float]] = [
    (lambda r: nnx.Linear(40, 48, kernel_init=KAIMING, rngs=r), "kernel", (40, 48), math.sqrt(2 / 40)),
    (
        lambda r: nnx.LinearGeneral(40, (8, 12), kernel_init=KAIMING, rngs=r),
        "kernel",
        (40, 8, 12),
        math.sqrt(2 / 40),
    ),
    (lambda r: nnx.Conv(16, 32, (3,), kernel_init=KAIMING, rngs=r), "kernel", (3, 16, 32), math.sqrt(2 / 48)),
    (lambda r: nnx.Conv(16, 32, (3, 2), kernel_init=KAIMING, rngs=r), "kernel", (3, 2, 16, 32), math.sqrt(2 / 96)),
    (lambda r: nnx.Conv(8, 16, (2,) * 3, kernel_init=KAIMING, rngs=r), "kernel", (2, 2, 2, 8, 16), math.sqrt(2 / 64)),
    (
        lambda r: nnx.Conv(32, 32, (3, 3), feature_group_count=4, kernel_init=KAIMING, rngs=r),
        "kernel",
        (3, 3, 8, 32),
        math.sqrt(2 / 72),
    ),
    (
        lambda r: nnx.ConvTranspose(
            8, 32, (3, 3), kernel_init=jaxinit.kaiming_normal(layout=FLAX_CONV_TRANSPOSE), rngs=r
        ),
        "kernel",
        (3, 3, 8, 32),
        math.sqrt(2 / 288),
    ),
    (
        lambda r: nnx.ConvTranspose(8, 32, (3, 3), transpose_kernel=True, kernel_init=KAIMING, rngs=r),
        "kernel",
        (3, 3, 32, 8),
        math.sqrt(2 / 288),
    ),
    (lambda r: nnx.Embed(100, 16, embedding_init=jaxinit.normal(), rngs=r), "embedding", (100, 16), 1.0),
    (
        lambda r: nnx.Embed(100, 16, embedding_init=jaxinit.xavier_normal(layout=TORCH), rngs=r),
        "embedding",
        (100, 16),
        math.sqrt(2 / 116),
    ),
    (lambda r: nnx.LayerNorm(600, scale_init=jaxinit.normal(std=0.2), rngs=r), "scale", (600,), 0.2),
    (lambda r: nnx.BatchNorm(600, scale_init=jaxinit.normal(std=0.2), rngs=r), "scale", (600,), 0.2),
]


@pytest.mark.parametrize(("build", "parameter", "shape", "std"), LAYERS)
def test_every_layer_takes_an_initializer(
    build: Build, parameter: str, shape: tuple[int, ...], std: float, seed: int
) -> None:
    values = getattr(build(nnx.Rngs(seed)), parameter)[...]
    assert values.shape == shape
    assert_deviation(values, std)


@pytest.mark.parametrize("cell", [nnx.LSTMCell, nnx.OptimizedLSTMCell, nnx.GRUCell])
def test_recurrent_cells(cell: Any, seed: int) -> None:
    layer = cell(
        20,
        24,
        kernel_init=jaxinit.normal(std=0.3),
        recurrent_kernel_init=jaxinit.normal(std=0.3),
        bias_init=BIAS,
        rngs=nnx.Rngs(seed),
    )
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(nnx.state(layer, nnx.Param))]
    assert sum(leaf.size for leaf in leaves if leaf.ndim == 2) in (4 * 24 * (20 + 24), 3 * 24 * (20 + 24))
    for leaf in leaves:
        if leaf.ndim == 2:
            assert_deviation(leaf, 0.3)
        else:
            assert np.abs(leaf).max() <= 0.5
            assert np.unique(leaf).size > 2


def test_multi_head_attention(seed: int) -> None:
    layer = nnx.MultiHeadAttention(
        num_heads=4,
        in_features=24,
        qkv_features=32,
        kernel_init=jaxinit.xavier_normal(),
        out_kernel_init=KAIMING,
        bias_init=BIAS,
        decode=False,
        rngs=nnx.Rngs(seed),
    )
    for projection in (layer.query, layer.key, layer.value):
        assert projection.kernel[...].shape == (24, 4, 8)
        assert_deviation(projection.kernel[...], math.sqrt(2 / (24 + 32)))
    assert layer.out.kernel[...].shape == (4, 8, 24)
    assert_deviation(layer.out.kernel[...], math.sqrt(2 / 32))


def test_vmap_stacks_experts_with_their_own_fans(seed: int) -> None:
    @nnx.split_rngs(splits=5)
    @nnx.vmap
    def experts(rngs: nnx.Rngs) -> nnx.Linear:
        return nnx.Linear(20, 24, kernel_init=KAIMING, rngs=rngs)

    kernels = experts(nnx.Rngs(seed)).kernel[...]
    assert kernels.shape == (5, 20, 24)
    assert_deviation(kernels, math.sqrt(2 / 20))


def test_scan_stacks_layers_each_drawn_alone(seed: int) -> None:
    @nnx.split_rngs(splits=3)
    @nnx.scan(in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
    def layers(carry: jax.Array, rngs: nnx.Rngs) -> tuple[jax.Array, nnx.Linear]:
        return carry, nnx.Linear(16, 16, kernel_init=jaxinit.orthogonal(), rngs=rngs)

    kernels = np.asarray(layers(jnp.zeros(()), nnx.Rngs(seed))[1].kernel[...])
    assert kernels.shape == (3, 16, 16)
    for kernel in kernels:
        np.testing.assert_allclose(kernel @ kernel.T, np.eye(16), atol=1e-5)
    assert np.abs(kernels[0] - kernels[1]).max() > 1e-3


@pytest.mark.parametrize("name", [name for name in cases.NAMES if name != "dirac"])
def test_jit_builds_the_same_layer(name: str, seed: int) -> None:
    def build() -> nnx.Linear:
        return nnx.Linear(6, 5, kernel_init=cases.build(name), rngs=nnx.Rngs(params=jax.random.key(seed)))

    cases.assert_same(name, nnx.jit(build)().kernel[...], build().kernel[...])


@pytest.mark.parametrize("name", ["kaiming_uniform", "trunc_normal", "orthogonal", "sparse"])
def test_with_partitioning_lays_parameters_out(name: str, seed: int) -> None:
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(jax.sharding.AxisType.Auto,) * 2)

    @nnx.jit
    def build(rngs: nnx.Rngs) -> nnx.Linear:
        layer = nnx.Linear(8, 16, kernel_init=nnx.with_partitioning(cases.build(name), ("x", "y")), rngs=rngs)
        state = nnx.state(layer)
        nnx.update(layer, jax.lax.with_sharding_constraint(state, nnx.get_partition_spec(state)))
        return layer

    with jax.set_mesh(mesh):
        kernel = build(nnx.Rngs(seed)).kernel[...]
    assert kernel.sharding.is_equivalent_to(jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x", "y")), 2)
    alone = nnx.Linear(8, 16, kernel_init=cases.build(name), rngs=nnx.Rngs(seed))
    cases.assert_same(name, kernel, alone.kernel[...])


@pytest.mark.parametrize("name", cases.NAMES)
def test_an_uncalled_factory_says_so(name: str) -> None:
    with pytest.raises(TypeError, match=rf"did you mean `{name}\(\)`\?"):
        nnx.Linear(2, 3, kernel_init=cases.FACTORIES[name], rngs=nnx.Rngs(0))
