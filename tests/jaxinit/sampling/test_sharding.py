"""Eight devices: the values and the layout asked for, without communication."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

import jaxinit
from tests.jaxinit import cases

P = PartitionSpec
COLLECTIVES = re.compile(r"all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast")
SHAPES = re.compile(r"\[(\d+(?:,\d+)*)\]")

AUTO, EXPLICIT = AxisType.Auto, AxisType.Explicit
KINDS = [(AUTO, AUTO), (EXPLICIT, EXPLICIT), (EXPLICIT, AUTO)]
each_kind = pytest.mark.parametrize("kinds", KINDS, ids=lambda kinds: "-".join(kind.name for kind in kinds))


def mesh_of(kinds: tuple[AxisType, AxisType]) -> Mesh:
    return jax.make_mesh((4, 2), ("x", "y"), axis_types=kinds)


def test_there_are_eight_devices() -> None:
    assert jax.device_count() == 8


@each_kind
@cases.each_name
def test_sharded_values_are_those_of_one_device(name: str, kinds: tuple[AxisType, AxisType], seed: int) -> None:
    init, shape, key = cases.build(name), cases.shape_of(name), jax.random.key(seed)
    sharding = NamedSharding(mesh_of(kinds), P(*[None] * (len(shape) - 2), "x", "y"))
    values = init(key, shape, out_sharding=sharding)
    assert values.sharding.is_equivalent_to(sharding, len(shape))
    assert {shard.data.shape for shard in values.addressable_shards} == {(*shape[:-2], 2, 8)}
    cases.assert_same(name, values, init(key, shape))


@pytest.mark.parametrize("spec", [P(), P("x"), P(None, "y"), P("y", "x"), P(("x", "y")), P(None, ("y", "x"))], ids=str)
@each_kind
def test_every_spec_is_honoured(spec: PartitionSpec, kinds: tuple[AxisType, AxisType], seed: int) -> None:
    sharding = NamedSharding(mesh_of(kinds), spec)
    values = jaxinit.normal()(jax.random.key(seed), (8, 16), out_sharding=sharding)
    assert values.sharding.is_equivalent_to(sharding, 2)
    cases.assert_same("normal", values, jaxinit.normal()(jax.random.key(seed), (8, 16)))


@each_kind
@pytest.mark.parametrize("name", ["uniform", "zeros", "orthogonal", "sparse", "eye"])
def test_a_bare_spec_takes_the_mesh_in_context(name: str, kinds: tuple[AxisType, AxisType], seed: int) -> None:
    init, key, mesh = cases.build(name), jax.random.key(seed), mesh_of(kinds)
    alone = init(key, (8, 16))
    with jax.set_mesh(mesh):
        values = init(key, (8, 16), out_sharding=P("y", "x"))
        jitted = jax.jit(lambda key: init(key, (8, 16), out_sharding=P("y", "x")))(key)
    for result in (values, jitted):
        assert result.sharding.is_equivalent_to(NamedSharding(mesh, P("y", "x")), 2)
        cases.assert_same(name, result, alone)


@pytest.mark.parametrize("name", ["kaiming_uniform", "trunc_normal", "orthogonal"])
def test_a_legacy_key_and_float64_are_laid_out_too(name: str, seed: int) -> None:
    init, sharding = cases.build(name), NamedSharding(mesh_of((EXPLICIT, AUTO)), P("x", "y"))
    with jax.enable_x64(True):
        values = init(jax.random.PRNGKey(seed), (8, 16), jnp.float64, sharding)
        assert values.sharding.is_equivalent_to(sharding, 2)
        cases.assert_same(name, values, init(jax.random.key(seed), (8, 16), jnp.float64))


@pytest.mark.parametrize("kinds", [(AUTO, AUTO), (EXPLICIT, EXPLICIT)])
@pytest.mark.parametrize("name", cases.ELEMENTWISE)
def test_elementwise_draws_need_no_communication(name: str, kinds: tuple[AxisType, AxisType]) -> None:
    init, sharding, key = cases.build(name), NamedSharding(mesh_of(kinds), P("x", "y")), jax.random.key(0)
    asked = jax.jit(lambda key: init(key, (64, 64), out_sharding=sharding))
    callers = jax.jit(lambda _: init(key, (64, 64)), out_shardings=sharding)
    for draw in (asked, callers):
        program = draw.lower(key).compile().as_text()
        assert program is not None
        assert not COLLECTIVES.search(program)
        # And each device makes its own part alone.
        assert "[16,32]" in program
        assert max(math.prod(map(int, axes.split(","))) for axes in SHAPES.findall(program)) == 16 * 32


def test_the_search_for_communication_finds_it() -> None:
    sharding = NamedSharding(mesh_of((AUTO, AUTO)), P("x", "y"))
    total = jax.jit(lambda key: jaxinit.normal()(key, (64, 64), out_sharding=sharding).sum())
    program = total.lower(jax.random.key(0)).compile().as_text()
    assert program is not None
    assert COLLECTIVES.search(program)


def test_what_is_no_sharding_is_refused() -> None:
    with pytest.raises(TypeError, match="`out_sharding` must be a NamedSharding or a PartitionSpec, got 'x'"):
        jaxinit.zeros()(jax.random.key(0), (8,), out_sharding="x")  # type: ignore[arg-type]  # which is refused


@cases.each_name
def test_a_bare_spec_without_a_mesh_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"`out_sharding` must be a NamedSharding, or a PartitionSpec inside jax.set_"):
        cases.build(name)(jax.random.key(0), cases.shape_of(name), out_sharding=P("x"))


@pytest.mark.parametrize("kinds", [(AUTO, AUTO), (EXPLICIT, EXPLICIT)])
def test_a_sharding_that_does_not_fit_is_refused(kinds: tuple[AxisType, AxisType]) -> None:
    sharding = NamedSharding(mesh_of(kinds), P("x"))
    with pytest.raises(ValueError, match=r"divisible|evenly"):
        jaxinit.normal()(jax.random.key(0), (7, 3), out_sharding=sharding)
    with pytest.raises(ValueError, match="rank"):
        jaxinit.normal()(jax.random.key(0), (), out_sharding=sharding)


# Not orthogonal: JAX decomposes no explicitly sharded batch.
@pytest.mark.parametrize("name", [name for name in cases.RANDOM if name != "orthogonal"])
def test_keys_that_are_themselves_sharded_can_be_mapped_over(name: str) -> None:
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Explicit,) * 2)
    init, shape = cases.build(name), cases.shape_of(name)
    keys = jax.random.split(jax.random.key(0), 8)
    alone = jnp.stack([init(key, shape) for key in keys])
    with jax.set_mesh(mesh):
        placed = jax.device_put(keys, NamedSharding(mesh, PartitionSpec("x")))
        if jax.__version_info__ < (0, 9):  # JAX's own bits cannot be drawn from such keys there
            with pytest.raises(ValueError, match="Resource axis"):
                jax.jit(jax.vmap(lambda key: jax.random.bits(key, shape)))(placed)
            return
        mapped = jax.jit(jax.vmap(lambda key: init(key, shape)))(placed)
    cases.assert_same(name, np.asarray(mapped), alone)


@pytest.mark.parametrize("name", cases.RANDOM)
def test_inside_shard_map_each_device_draws_from_its_own_key(name: str) -> None:
    mesh = jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,))
    init, shape = cases.build(name), cases.shape_of(name)
    keys = jax.random.split(jax.random.key(0), 8)
    draw = jax.shard_map(
        lambda own: init(own[0], shape)[None], mesh=mesh, in_specs=PartitionSpec("x"), out_specs=PartitionSpec("x")
    )
    cases.assert_same(name, np.asarray(jax.jit(draw)(keys)), jnp.stack([init(key, shape) for key in keys]))


def test_out_sharding_holds_under_vmap_on_an_explicit_mesh() -> None:
    mesh = jax.make_mesh((4, 2), ("x", "y"), axis_types=(AxisType.Explicit,) * 2)
    keys = jax.random.split(jax.random.key(0), 4)
    with jax.set_mesh(mesh):
        drawn = jax.jit(jax.vmap(lambda key: jaxinit.normal()(key, (16, 8), out_sharding=PartitionSpec("x", "y"))))(
            keys
        )
        assert drawn.sharding.is_equivalent_to(NamedSharding(mesh, PartitionSpec(None, "x", "y")), 3)
