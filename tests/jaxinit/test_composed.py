"""Initializers made of others: what they are made of, exactly, and the promises of every initializer."""

import copy
import dataclasses
import inspect
import math
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding
from scipy import stats

import jaxinit
from jaxinit import TORCH, composed
from jaxinit.composed import concatenated, sum_of_uniforms, with_zero_row
from jaxinit.distributions import Triangular
from tests.jaxinit import golden
from tests.jaxinit.draws import FALSE_ALARM
from tests.jaxinit.sampling.test_sharding import COLLECTIVES, KINDS, P, mesh_of

NAMES = [
    name
    for name, value in vars(composed).items()
    if isinstance(value, type) and issubclass(value, jaxinit.Initializer) and value.__module__ == composed.__name__
]
CASES: dict[str, jaxinit.Initializer] = {
    "sum_of_uniforms": sum_of_uniforms(-0.125, 0.125),
    "truncated": composed.truncated(jaxinit.kaiming_normal(), -1, 3, keep_std=True),
    "with_zero_row": with_zero_row(jaxinit.normal(), -2),
    "concatenated": concatenated((sum_of_uniforms(-1, 1), jaxinit.zeros(), jaxinit.normal(), jaxinit.uniform(-1, 1))),
}
SHAPE = (8, 16)
KEY = jax.random.key(0)
each = pytest.mark.parametrize("name", CASES)
each_support = pytest.mark.parametrize(("a", "b"), [(-0.125, 0.125), (0.0, 1.0), (-3.0, 5.0), (2.0, 2.5)])


def bits_of(array: Any) -> bytes:
    return np.asarray(array).tobytes()


def test_every_one_has_a_case_and_golden_values() -> None:
    assert set(CASES) == set(NAMES)
    assert set(golden.COMPOSED) == {f"composed.{name}" for name in NAMES}


# The sum of two uniforms.


@each_support
def test_the_sum_is_that_of_two_draws(a: float, b: float, seed: int) -> None:
    keys = jax.random.split(jax.random.key(seed))
    one, other = (np.asarray(jaxinit.uniform(a, b)(key, (2**12,))) for key in keys)
    drawn = np.asarray(sum_of_uniforms(a, b)(jax.random.key(seed), (2**12,)))
    assert (drawn == np.clip(one + other, np.float32(2 * a), np.float32(2 * b))).all()


@each_support
def test_the_sum_has_a_triangular_distribution(a: float, b: float, seed: int) -> None:
    drawn = np.asarray(sum_of_uniforms(a, b)(jax.random.key(seed), (2**17,)), np.float64)
    assert stats.kstest(drawn, stats.triang(0.5, 2 * a, 2 * (b - a)).cdf).pvalue > FALSE_ALARM


def test_torch_draws_the_two_parts_one_after_the_other(seed: int) -> None:
    generator = jaxinit.TorchGenerator(seed)
    one, other = (generator.uniform(-1, 2, (33,)) for _ in range(2))
    assert (sum_of_uniforms(-1, 2)(jaxinit.TorchGenerator(seed), (33,)) == one + other).all()


def test_the_sum_is_real() -> None:
    with pytest.raises(ValueError, match=r"`dtype` must be real for a sum of uniforms, got complex64"):
        sum_of_uniforms(-1, 2)(KEY, (3,), "complex64")


def test_the_sums_numbers() -> None:
    distribution = sum_of_uniforms(-3, 5).distribution((4,))
    assert distribution == Triangular(-6.0, 10.0)
    assert distribution.mean == 2
    assert math.isclose(distribution.std, jaxinit.uniform(-3, 5).distribution(()).std * math.sqrt(2))
    assert (sum_of_uniforms(0.25, 0.25)(KEY, (5,)) == 0.5).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float8_e4m3fn", "float32", "float64"])
def test_the_sum_never_leaves_its_support(dtype: str, seed: int) -> None:
    with jax.enable_x64(dtype == "float64"):
        drawn = sum_of_uniforms(-0.35, 0.35)(jax.random.key(seed), (2**16,), dtype)
        values = np.asarray(drawn.astype(jnp.float32 if drawn.dtype.itemsize < 4 else drawn.dtype), np.float64)
    assert drawn.dtype == dtype
    assert abs(values).max() <= 0.7
    assert abs(values.mean()) < 7 * 0.7 / math.sqrt(6 * 2**16)


# One row of zeros.


@pytest.mark.parametrize("row", [0, 3, -1, -8])
@pytest.mark.parametrize(
    "init", [jaxinit.normal(), jaxinit.xavier_uniform(layout=TORCH), jaxinit.orthogonal()], ids=repr
)
def test_all_but_the_row_is_the_initializers_own_draw(init: jaxinit.Initializer, row: int) -> None:
    drawn = np.asarray(with_zero_row(init, row)(KEY, SHAPE))
    wanted = np.asarray(init(KEY, SHAPE)).copy()
    assert wanted[row].any()
    wanted[row] = 0
    assert drawn.tobytes() == wanted.tobytes()


@pytest.mark.parametrize(("shape", "row"), [((8, 3), 8), ((8, 3), -9), ((), 0), ((0, 3), 0)])
def test_a_row_that_is_not_there_is_refused(shape: tuple[int, ...], row: int) -> None:
    rows = shape[0] if shape else 0
    with pytest.raises(ValueError, match=rf"`row` must be one of the {rows} rows of `shape` .*, got {row}"):
        with_zero_row(jaxinit.normal(), row)(KEY, shape)


# Side by side.


def test_each_part_is_its_initializers_own_draw() -> None:
    init = CASES["concatenated"]
    assert isinstance(init, concatenated)
    parts = np.split(np.asarray(init(KEY, SHAPE)), 4, axis=-1)
    for index, (own, part) in enumerate(zip(init.inits, parts, strict=True)):
        assert part.tobytes() == bits_of(own(jax.random.fold_in(KEY, index), (8, 4)))


def test_parts_lie_along_the_axis_that_is_given() -> None:
    inits = [jaxinit.zeros(), jaxinit.constant(0.5), jaxinit.ones()]
    assert (np.asarray(concatenated(inits, axis=0)(KEY, (6, 2)))[:, 0] == [0, 0, 0.5, 0.5, 1, 1]).all()
    with pytest.raises(ValueError, match=r"axis 1 of `shape` must have a multiple of 3 entries .*, got \(6,\)"):
        concatenated(inits, axis=1)(KEY, (6,))


def test_equal_parts_have_their_own_numbers() -> None:
    left, right = np.split(np.asarray(concatenated([jaxinit.normal()] * 2)(KEY, (64,))), 2)
    assert not np.intersect1d(left, right).size


@pytest.mark.parametrize("shape", [(), (5,), (4, 6)])
def test_a_shape_that_cannot_be_divided_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError,
        match=r"axis -1 of `shape` must have a multiple of 4 entries for the 4 parts of jaxinit.composed.conc",
    ):
        CASES["concatenated"](KEY, shape)


# What they refuse when they are built.


@pytest.mark.parametrize(
    ("build", "arguments", "error", "message"),
    [
        (sum_of_uniforms, (2, 1), ValueError, "`a` must not exceed `b`, got a=2.0 and b=1.0"),
        (sum_of_uniforms, (math.nan, 1), ValueError, "`a` must be a number, got nan"),
        (sum_of_uniforms, (0, math.inf), ValueError, "`b` must be finite, got inf"),
        (sum_of_uniforms, ("0", 1), TypeError, "`a` must be a real number, got '0'"),
        (sum_of_uniforms, (KEY, (3,)), TypeError, r"builds an initializer and takes no key; did you mean `sum_of_uni"),
        (with_zero_row, (jaxinit.normal, 0), TypeError, "`init` must be an initializer such as jaxinit.normal"),
        (with_zero_row, (jax.nn.initializers.zeros, 0), TypeError, "`init` must be an initializer"),
        (with_zero_row, (jaxinit.normal(), 0.0), TypeError, "`row` must be an integer, got 0.0"),
        (with_zero_row, (jaxinit.normal(), True), TypeError, "`row` must be an integer, got True"),
        (
            concatenated,
            (jaxinit.normal(),),
            TypeError,
            "`inits` must be a sequence of initializers, got jaxinit.normal",
        ),
        (concatenated, ((),), ValueError, r"`inits` must have at least one initializer, got \(\)"),
        (concatenated, ((jaxinit.normal(), None),), TypeError, "`inits` must be an initializer .*, got None"),
    ],
)
def test_arguments_are_checked_when_it_is_built(build: Any, arguments: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        build(*arguments)


# What every initializer promises.


@each
def test_is_a_value(name: str) -> None:
    for init in (CASES[name], dataclasses.replace(CASES[name], dtype="bfloat16")):
        rebuilt = eval(repr(init), {"jaxinit": jaxinit})
        for same in (rebuilt, copy.deepcopy(init), pickle.loads(pickle.dumps(init)), dataclasses.replace(init)):
            assert same == init
            assert hash(same) == hash(init)
            assert repr(same) == repr(init)
    assert CASES[name] != dataclasses.replace(CASES[name], dtype="bfloat16")
    assert isinstance(CASES[name], jax.nn.initializers.Initializer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(CASES[name], next(iter(inspect.signature(type(CASES[name])).parameters)), 1)


def test_lists_and_tuples_make_equal_values() -> None:
    inits = [jaxinit.zeros(), jaxinit.ones()]
    assert concatenated(inits) == concatenated(tuple(inits))
    inits.append(jaxinit.ones())
    assert hash(concatenated(inits[:2])) == hash(concatenated((jaxinit.zeros(), jaxinit.ones())))
    assert concatenated(inits) != concatenated(inits[:2])
    assert len(set(CASES.values())) == len(CASES)


@each
@pytest.mark.parametrize("dtype", ["bfloat16", "float32", "float64"])
def test_compiled_and_mapped_draws_are_equal_bit_for_bit(name: str, dtype: str, seed: int) -> None:
    with jax.enable_x64(dtype == "float64"):
        key = jax.random.key(seed)
        drawn = CASES[name](key, SHAPE, dtype)
        assert drawn.dtype == dtype
        assert drawn.shape == SHAPE
        assert bits_of(jax.jit(lambda key: CASES[name](key, SHAPE, dtype))(key)) == bits_of(drawn)
        mapped = jax.vmap(lambda key: CASES[name](key, SHAPE, dtype))(jnp.stack([key, jax.random.key(7)]))
        assert bits_of(mapped[0]) == bits_of(drawn)
        assert bits_of(mapped[1]) == bits_of(CASES[name](jax.random.key(7), SHAPE, dtype))


@each
def test_values_do_not_depend_on_x64(name: str) -> None:
    with jax.enable_x64(True):
        wide = CASES[name](KEY, SHAPE, jnp.float32)
    assert bits_of(wide) == bits_of(CASES[name](KEY, SHAPE))


@each
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_is_the_float32_draw_rounded_once(name: str, dtype: str) -> None:
    assert bits_of(CASES[name](KEY, SHAPE, dtype)) == bits_of(CASES[name](KEY, SHAPE).astype(dtype))


@each
def test_its_own_dtype_is_that_of_a_call_without_one(name: str) -> None:
    init = dataclasses.replace(CASES[name], dtype="bfloat16")
    assert init(KEY, SHAPE).dtype == jnp.bfloat16
    assert init(KEY, SHAPE, jnp.float32).dtype == jnp.float32


@each
@pytest.mark.parametrize("kinds", KINDS, ids=str)
def test_out_sharding_is_honoured(name: str, kinds: Any) -> None:
    sharding = NamedSharding(mesh_of(kinds), P("y", "x"))
    drawn = CASES[name](KEY, SHAPE, out_sharding=sharding)
    compiled = jax.jit(lambda key: CASES[name](key, SHAPE, out_sharding=sharding))(KEY)
    for values in (drawn, compiled):
        assert values.sharding.is_equivalent_to(sharding, 2)
        assert bits_of(values) == bits_of(CASES[name](KEY, SHAPE))


@each
def test_a_bare_spec_takes_the_mesh_in_context(name: str) -> None:
    with jax.set_mesh(mesh_of(KINDS[-1])):
        drawn = CASES[name](KEY, SHAPE, out_sharding=P("x", "y"))
        compiled = jax.jit(lambda key: CASES[name](key, SHAPE, out_sharding=P("x", "y")))(KEY)
    for values in (drawn, compiled):
        assert {shard.data.shape for shard in values.addressable_shards} == {(2, 8)}
        assert bits_of(values) == bits_of(CASES[name](KEY, SHAPE))


def test_the_sum_needs_no_communication() -> None:
    sharding = NamedSharding(mesh_of(KINDS[0]), P("x", "y"))
    draw = jax.jit(lambda key: CASES["sum_of_uniforms"](key, (64, 64), out_sharding=sharding))
    assert not COLLECTIVES.search(draw.lower(KEY).compile().as_text() or "")


@each
def test_shape_inference_costs_nothing(name: str) -> None:
    shape = (2**20, 2**20)
    assert jax.eval_shape(lambda key: CASES[name](key, shape), KEY).shape == shape
