"""Arrays of a recipe from a JAX key: from the right distributions, one program, on any devices."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
import torch
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec
from torch import nn

import jaxinit
from jaxinit._recipes import by_key
from jaxinit.distributions import Constant
from tests.jaxinit.draws import FALSE_ALARM, cdf_of
from tests.jaxinit.recipes.models import MODELS


@pytest.mark.parametrize("name", MODELS)
def test_each_array_is_drawn_from_its_distribution(name: str, seed: int) -> None:
    recipe = jaxinit.record(MODELS[name])
    arrays = recipe.sample(jax.random.key(seed))
    for parameter in recipe.parameters:
        if parameter.distribution is None or parameter.kind == "computed buffer":
            continue
        array = np.asarray(arrays[parameter.name]).reshape(-1)
        if np.iscomplexobj(array):
            array = array.view(array.real.dtype)
        array = array.astype(np.float64)
        assert arrays[parameter.name].shape == parameter.shape
        if isinstance(parameter.distribution, Constant):
            np.testing.assert_array_equal(array, np.asarray(parameter.distribution.value, arrays[parameter.name].dtype))
        elif parameter.dtype == "float32":
            distance = scipy.stats.kstest(array, cdf_of(parameter.distribution)).statistic
            assert distance < math.sqrt(math.log(2 / FALSE_ALARM) / 2 / array.size)


def stack(layers: int, size: int = 16) -> nn.Module:
    """Return the same block `layers` times."""
    blocks = [
        nn.Sequential(nn.Linear(size, 4 * size), nn.LayerNorm(4 * size), nn.Linear(4 * size, size))
        for _ in range(layers)
    ]
    return nn.Sequential(nn.Embedding(11, size, padding_idx=0), *blocks)


def test_keys_are_folded_from_names() -> None:
    key = jax.random.key(3)
    small, large = (jaxinit.record(functools.partial(stack, n)).sample(key) for n in (2, 3))
    for name, array in small.items():
        np.testing.assert_array_equal(array, large[name])
    linear = jaxinit.record(lambda: nn.Linear(64, 10)).sample(key)
    alone = jaxinit.uniform(-0.125, 0.125)(key_of(key, "bias"), (10,))
    np.testing.assert_array_equal(linear["bias"], alone)


def key_of(key: jax.Array, name: str) -> jax.Array:
    from jaxinit._sampling.source import KeySource

    folded: jax.Array = KeySource(key).at((name,)).key
    return folded


def test_layers_of_one_kind_differ() -> None:
    arrays = jaxinit.record(lambda: stack(3)).sample(jax.random.key(0))
    kernels = [np.asarray(array) for name, array in arrays.items() if name.endswith("0.weight") and array.ndim == 2]
    assert not any((a == b).any() for i, a in enumerate(kernels[1:]) for b in kernels[1:][:i])


def test_the_program_does_not_grow_with_the_layers() -> None:
    def lines(layers: int) -> int:
        recipe = jaxinit.record(lambda: stack(layers))
        jaxpr = jax.make_jaxpr(recipe.sample)(jax.random.key(0))
        drawing = [line for line in str(jaxpr).splitlines() if "shift_left" in line or "random_bits" in line]
        return len(drawing)

    assert lines(2) == lines(9) > 0


@pytest.mark.parametrize("kinds", [AxisType.Auto, AxisType.Explicit])
def test_shards_are_the_parts_of_the_whole(kinds: AxisType) -> None:
    recipe = jaxinit.record(lambda: stack(2, 32))
    key = jax.random.key(1)
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(kinds, kinds))
    shardings = {
        parameter.name: NamedSharding(
            mesh, PartitionSpec("x", "y") if len(parameter.shape) == 2 else PartitionSpec("x")
        )
        for parameter in recipe.parameters
        if parameter.shape[0] % 4 == 0
    }
    whole = recipe.sample(key)
    sharded = recipe.sample(key, out_shardings=shardings)
    for name, array in sharded.items():
        if name in shardings:
            assert array.sharding.is_equivalent_to(shardings[name], array.ndim)
        np.testing.assert_array_equal(array, whole[name])


def test_one_sharding_is_for_all() -> None:
    mesh = Mesh(jax.devices()[:2], ("x",))
    arrays = jaxinit.record(lambda: nn.Linear(4, 6)).sample(
        jax.random.key(0), out_shardings=NamedSharding(mesh, PartitionSpec("x"))
    )
    assert all(len(array.sharding.device_set) == 2 for array in arrays.values())


def test_sampling_needs_no_communication() -> None:
    recipe = jaxinit.record(lambda: stack(3, 32))
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    shardings = {p.name: NamedSharding(mesh, PartitionSpec("x")) for p in recipe.parameters if p.shape[0] % 8 == 0}
    program = jax.jit(lambda key: recipe.sample(key, out_shardings=shardings)).lower(jax.random.key(0)).compile()
    text = program.as_text() or ""
    assert not [word for word in ("all-reduce", "all-gather", "collective", "all-to-all") if word in text]


def test_a_mesh_of_256_devices_can_be_lowered_for_without_them() -> None:
    recipe = jaxinit.record(lambda: nn.Linear(2**16, 2**16))
    mesh = AbstractMesh((256,), ("x",), axis_types=(AxisType.Auto,))
    layout = NamedSharding(mesh, PartitionSpec("x"))
    draw = jax.jit(lambda key: recipe.sample(key, out_shardings=layout))
    exported = jax.export.export(draw, platforms=["tpu"])(jax.random.key_data(jax.random.key(0)))
    assert exported.nr_devices == 256
    assert {array.shape for array in exported.out_avals} == {(2**16, 2**16), (2**16,)}


def test_under_jit_the_numbers_are_the_same() -> None:
    recipe = jaxinit.record(MODELS["slices"])
    key = jax.random.key(5)
    for name, array in jax.jit(recipe.sample)(key).items():
        np.testing.assert_array_equal(array, recipe.sample(key)[name])


def test_a_dtype_is_drawn_in_that_dtype() -> None:
    recipe = jaxinit.record(MODELS["layers"])
    arrays = recipe.sample(jax.random.key(0), dtype="bfloat16")
    assert arrays["linear.weight"].dtype == jnp.bfloat16
    assert arrays["batch.num_batches_tracked"].dtype == jnp.int32
    alone = jaxinit.uniform(-(20**-0.5), 20**-0.5)(key_of(jax.random.key(0), "linear.bias"), (30,), jnp.bfloat16)
    np.testing.assert_array_equal(arrays["linear.bias"], alone)


class FlaxTwins(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear, self.conv = nn.Linear(20, 30), nn.Conv2d(4, 8, 3, groups=2)
        self.back, self.cell = nn.ConvTranspose2d(3, 6, 3), nn.GRUCell(2, 3)


def test_flax_layouts_are_those_of_flax() -> None:
    from flax import nnx

    recipe = jaxinit.record(FlaxTwins)
    for source in (jax.random.key(0), jaxinit.TorchGenerator(0)):
        again = jaxinit.TorchGenerator(0) if isinstance(source, jaxinit.TorchGenerator) else source
        torchs, flaxs = recipe.sample(source), recipe.sample(again, layouts="flax")
        twins = {
            "linear": nnx.Linear(20, 30, rngs=nnx.Rngs(0)),
            "conv": nnx.Conv(4, 8, (3, 3), feature_group_count=2, rngs=nnx.Rngs(0)),
            "back": nnx.ConvTranspose(3, 6, (3, 3), rngs=nnx.Rngs(0)),
        }
        for name, twin in twins.items():
            state = {part: np.asarray(torchs[f"{name}.{part}"]) for part in ("weight", "bias")}
            jaxinit.nnx.load(twin, state)
            np.testing.assert_array_equal(flaxs[f"{name}.weight"], twin.kernel[...])  # type: ignore[attr-defined]
        np.testing.assert_array_equal(flaxs["cell.weight_ih"], torchs["cell.weight_ih"])


def test_a_key_that_is_none_is_refused() -> None:
    recipe = jaxinit.record(lambda: nn.Linear(2, 3))
    with pytest.raises(TypeError, match="`key` must be a JAX PRNG key"):
        recipe.sample(0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`layouts` must be one of 'torch', 'flax', got 'keras'"):
        recipe.sample(jax.random.key(0), layouts="keras")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="`out_shardings` must name parameters of the recipe, got 'kernel'"):
        recipe.sample(jax.random.key(0), out_shardings={"kernel": None})


def test_a_torch_generator_is_refused_under_jit() -> None:
    recipe = jaxinit.record(lambda: nn.Linear(2, 3))
    with pytest.raises(TypeError, match="got a TorchGenerator, which draws on the"):
        jax.jit(lambda: recipe.sample(jaxinit.TorchGenerator(0)))()


def test_weight_norm_keeps_both_parts_of_one_draw() -> None:
    arrays = jaxinit.record(MODELS["parametrized"]).sample(jax.random.key(0))
    norm, weight = (arrays[f"weight_norm.parametrizations.weight.original{i}"] for i in (0, 1))
    np.testing.assert_allclose(norm[:, 0], np.linalg.norm(weight, axis=1), rtol=1e-6)


def test_the_form_of_the_arrays_does_not_change_the_numbers() -> None:
    recipe = jaxinit.record(MODELS["parametrized"])
    arrays = [recipe.sample(jax.random.key(0), layouts="torch"), recipe.sample(jax.random.key(0), layouts="flax")]
    own, flax = (each["spectral_norm.parametrizations.weight.0._u"] for each in arrays)
    np.testing.assert_array_equal(own, flax)


def test_a_parameter_may_be_set_in_a_thousand_parts() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rows = nn.Parameter(torch.randn(1200, 2))
            for row in range(1200):
                self.rows.data[row, row % 2] = 0.0

    recipe = jaxinit.record(Rows)
    local, _ = by_key._local(recipe.nodes, recipe.entries[0].node, recipe._distributions, np.dtype(np.float32))
    assert len(local) == len(recipe.nodes) > 1200
    assert (np.asarray(recipe.sample(jaxinit.TorchGenerator(0))["rows"]) == 0).sum() == 1200


def test_equal_parameters_are_one_group() -> None:
    recipe = jaxinit.record(lambda: stack(5))
    programs = {
        by_key._local(recipe.nodes, entry.node, recipe._distributions, np.dtype(np.float32))[0]
        for entry in recipe.entries
    }
    assert len(programs) == len({(p.distribution, p.shape, p.steps) for p in recipe.parameters})


def test_a_recipe_from_another_seed_of_torch_is_the_same() -> None:
    torch.manual_seed(1)
    first = jaxinit.record(MODELS["arithmetic"])
    torch.manual_seed(2)
    assert first == jaxinit.record(MODELS["arithmetic"])
