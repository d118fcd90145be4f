"""Linen variables on eight devices: boxes and shardings are kept and followed."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxinit
from tests.jaxinit.models.linen.test_models import KEY, ROW, SEQUENCE, Block, X, changed, flaxs, torchs


def mesh() -> Any:
    return jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Auto,) * 2)


@pytest.mark.parametrize("wrap", [nn.with_partitioning, nn.with_logical_partitioning])
def test_boxes_are_kept_and_their_sharding_is_followed(wrap: Any) -> None:
    names = ("x", "y") if wrap is nn.with_partitioning else ("rows", "columns")
    module = nn.Dense(8, kernel_init=wrap(jax.nn.initializers.normal(), names))
    row = jnp.zeros((1, 16))
    alone = jaxinit.linen.init(module, KEY, row)
    assert alone["params"]["kernel"].names == names
    with jax.set_mesh(mesh()), nn.logical_axis_rules((("rows", "x"), ("columns", "y"))):
        fresh = jaxinit.linen.init(module, KEY, row)
        after = jaxinit.linen.reset_parameters(module, fresh, KEY, row)
        ones = jaxinit.linen.apply(module, fresh, lambda _: {"kernel": jax.nn.initializers.ones}, KEY, row)
        jitted = jax.jit(lambda key: jaxinit.linen.init(module, key, row))(KEY)
    for variables in (fresh, after, ones, jitted):
        box = variables["params"]["kernel"]
        assert type(box) is type(alone["params"]["kernel"])
        assert box.names == names
        assert box.value.addressable_shards[0].data.shape == (4, 4)
    for variables in (fresh, jitted):
        assert not changed(alone, variables)
    assert not changed(jaxinit.linen.reset_parameters(module, alone, KEY, row), after)


class Wide(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        w: Any = self.param("w", nn.with_partitioning(jax.nn.initializers.normal(), (None, "y")), (3, 8))
        y: jax.Array = x @ w
        return y


def test_unknown_leaves_are_laid_out_too() -> None:
    with (
        jax.set_mesh(jax.make_mesh((8,), ("y",), axis_types=(AxisType.Auto,))),
        pytest.warns(UserWarning, match=r"rule for layers_1\.w\."),
    ):
        fresh = jaxinit.linen.init(nn.Sequential([nn.Dense(3), Wide()]), KEY, ROW[None])
    assert fresh["params"]["layers_1"]["w"].value.addressable_shards[0].data.shape == (3, 1)


def test_a_models_sharding_is_kept() -> None:
    own = jax.tree.map(jnp.asarray, flaxs())
    sharding = NamedSharding(mesh(), PartitionSpec("x"))
    own["params"]["head"]["kernel"] = jax.device_put(own["params"]["head"]["kernel"], sharding)
    reset = jaxinit.linen.reset_parameters(Block(), own, KEY, X)
    assert reset["params"]["head"]["kernel"].sharding == sharding
    assert not changed(reset, torchs())


def test_stacks_keep_their_sharding() -> None:
    class Step(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            init = nn.with_partitioning(jax.nn.initializers.normal(), ("x", None))
            return nn.Dense(8, kernel_init=init, name="linear")(x), None

    given: dict[str, Any] = {"metadata_params": {nn.PARTITION_NAME: "y"}, "length": 4, "split_rngs": {"params": True}}
    module = nn.scan(Step, variable_axes={"params": 1}, **given)()
    alone = jaxinit.linen.init(module, KEY, SEQUENCE, None)
    with jax.set_mesh(mesh()):
        fresh = jaxinit.linen.init(module, KEY, SEQUENCE, None)
        kernel = fresh["params"]["linear"]["kernel"]
        assert kernel.names == ("x", "y", None)
        assert kernel.value.shape == (8, 4, 8)
        assert kernel.value.addressable_shards[0].data.shape == (2, 2, 8)
    assert not changed(alone, fresh)
