"""A number times an initializer: an initializer with the multiplied distribution, or with multiplied draws."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from jax.sharding import NamedSharding

import jaxinit
from jaxinit import FLAX, TORCH, Layout, TorchGenerator
from jaxinit._initializers.base import Initializer, WithLayout
from jaxinit._models.correspondence import with_layout
from jaxinit._models.stacks import for_stack
from jaxinit.distributions import Constant, Normal
from tests.jaxinit import cases
from tests.jaxinit.sampling.test_sharding import KINDS, P, mesh_of

KEY = jax.random.key(0)
LAYERS = 12

# An initializer times a number, and torch's call with scaled arguments.
TWINS: dict[str, tuple[Initializer, Initializer]] = {
    "uniform": (jaxinit.uniform(-1, 3) * 0.3, jaxinit.uniform(-1 * 0.3, 3 * 0.3)),
    "uniform, negative": (jaxinit.uniform(-1, 3) * -0.3, jaxinit.uniform(3 * -0.3, 0.3)),
    "normal": (0.5 * jaxinit.normal(std=0.02), jaxinit.normal(std=0.01)),
    "normal, negative": (-0.1 * jaxinit.normal(2, 0.3), jaxinit.normal(2 * -0.1, 0.3 * 0.1)),
    "normal, divided": (
        jaxinit.normal(std=0.02) / math.sqrt(2 * LAYERS),
        jaxinit.normal(std=0.02 / math.sqrt(2 * LAYERS)),
    ),
    "trunc_normal": (jaxinit.trunc_normal(1, 2, -3, 4) / 7, jaxinit.trunc_normal(1 / 7, 2 / 7, -3 / 7, 4 / 7)),
    "trunc_normal, negative": (
        jaxinit.trunc_normal(1, 2, -3, math.inf) * -0.1,
        jaxinit.trunc_normal(-0.1, 0.2, -math.inf, 3 * 0.1),
    ),
    "xavier_uniform": (4 * jaxinit.xavier_uniform(3), jaxinit.xavier_uniform(12)),
    "xavier_normal": (jaxinit.xavier_normal(3) / 4, jaxinit.xavier_normal(0.75)),
    "constant": (jaxinit.constant(1 + 2j) * 0.5, jaxinit.constant(0.5 + 1j)),
    "ones": (jaxinit.ones() / 3, jaxinit.constant(1 / 3)),
    "sum_of_uniforms": (
        0.3 * jaxinit.composed.sum_of_uniforms(-2, 3),
        jaxinit.composed.sum_of_uniforms(-2 * 0.3, 3 * 0.3),
    ),
}
EACH = [*map(cases.build, cases.NAMES), jaxinit.composed.concatenated([jaxinit.normal(), jaxinit.uniform()])]
each_twin = pytest.mark.parametrize("name", TWINS)
each = pytest.mark.parametrize("init", EACH, ids=lambda init: type(init).__name__)


def shape_for(init: Initializer) -> tuple[int, ...]:
    return (3, 8, 16) if isinstance(init, jaxinit.dirac) else (8, 16)


@each_twin
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_elementwise_draws_are_those_of_scaled_arguments(name: str, dtype: str, seed: int) -> None:
    ours, theirs = TWINS[name]
    dtype = "complex64" if name == "constant" else dtype
    with jax.enable_x64(dtype == "float64"):
        for source in (lambda: jax.random.key(seed), lambda: TorchGenerator(seed)):
            one, other = ours(source(), (33, 5), dtype), theirs(source(), (33, 5), dtype)
            np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@each_twin
def test_the_distribution_is_that_of_scaled_arguments(name: str) -> None:
    one, other = (init.distribution((6, 7)) for init in TWINS[name])  # type: ignore[attr-defined]  # all have it
    assert one == other


def test_torch_draws_the_same_with_scaled_arguments(seed: int) -> None:
    tensor, generator = torch.empty(64, 64), torch.Generator().manual_seed(seed)
    torch.nn.init.normal_(tensor, std=0.02 / math.sqrt(2 * LAYERS), generator=generator)
    init = jaxinit.normal(std=0.02) / math.sqrt(2 * LAYERS)
    drawn = init(TorchGenerator(seed), (64, 64))
    np.testing.assert_allclose(np.asarray(drawn), tensor.numpy(), rtol=0, atol=1e-8)


@each
@pytest.mark.parametrize("source", [lambda: KEY, lambda: TorchGenerator(3)], ids=["key", "torch"])
def test_every_initializer_times_a_number(init: Initializer, source: Any) -> None:
    shape = shape_for(init)
    scaled = init * 0.5
    assert isinstance(scaled, Initializer)
    assert hasattr(scaled, "distribution") == hasattr(init, "distribution")
    np.testing.assert_array_equal(np.asarray(scaled(source(), shape)), np.asarray(init(source(), shape)) * 0.5)
    compiled = jax.jit(lambda key: (init / 3)(key, shape))(KEY)
    np.testing.assert_allclose(compiled, (init / 3)(KEY, shape), rtol=0, atol=1e-6)


@each
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_low_precision_is_the_float32_draw_rounded_once(init: Initializer, dtype: str) -> None:
    scaled, shape = init / 3, shape_for(init)
    drawn = scaled(KEY, shape, dtype)
    assert drawn.dtype == dtype
    np.testing.assert_array_equal(drawn, scaled(KEY, shape).astype(dtype))


@each
def test_out_sharding_is_honoured(init: Initializer) -> None:
    shape = shape_for(init)
    for kinds in KINDS:
        sharding = NamedSharding(mesh_of(kinds), P(*[None] * (len(shape) - 2), "y", "x"))
        drawn = (init * 0.5)(KEY, shape, out_sharding=sharding)
        assert drawn.sharding.is_equivalent_to(sharding, len(shape))
        np.testing.assert_allclose(drawn, (init * 0.5)(KEY, shape), rtol=0, atol=1e-6)


def test_factors_are_collected() -> None:
    init = jaxinit.normal()
    assert 0.5 * init == init * 0.5
    assert 2 * (0.5 * init) == 1 * init
    assert repr(-0.5 * init / 3 * 4 / 5) == "-2.0 * jaxinit.normal(mean=0.0, std=1.0) / 15.0"


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.array(0.5), jnp.float32(0.5)], ids=repr)
def test_numbers_of_every_library_are_one_number(number: Any) -> None:
    init = jaxinit.normal()
    assert number * init == init * number == 0.5 * init
    assert init / number == init / 0.5


def test_nothing_remains_of_zero_times_an_initializer() -> None:
    assert (0 * jaxinit.trunc_normal(a=1, b=math.inf)).distribution(()) == Constant(0.0)
    assert (0 * jaxinit.normal(3)).distribution(()) == Normal(0.0, 0.0)
    assert (1e-300 * jaxinit.trunc_normal(std=1e-300, a=1e-9)).distribution(()) == Constant(1e-300 * 1e-9)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (math.nan, "must be a number, got nan"),
        (-math.inf, "must be finite, got -inf"),
        (True, "must be a real number, got True"),
        ("2", "must be a real number, got '2'"),
        (1j, "must be a real number, got 1j"),
        (np.ones(3), r"must be a real number, got an array of shape"),
        (jnp.ones(3), r"must be a real number, got an array of shape"),
        (jaxinit.normal(), r"must be a real number, got jaxinit.normal\("),
    ],
    ids=repr,
)
def test_a_bad_factor_is_refused(bad: Any, message: str) -> None:
    init = jaxinit.normal()
    with pytest.raises((TypeError, ValueError), match=f"`factor` {message}"):
        init * bad
    with pytest.raises((TypeError, ValueError), match=f"`factor` {message}"):
        bad * init
    with pytest.raises((TypeError, ValueError), match=f"`divisor` {message}"):
        init / bad


def test_a_traced_factor_is_refused() -> None:
    with pytest.raises(TypeError, match="`factor` must be known when the initializer is built, got the traced value"):
        jax.jit(lambda factor: (factor * jaxinit.normal())(KEY, (3,)))(0.5)


def test_products_outside_the_floats_are_refused() -> None:
    with pytest.raises(ValueError, match=r"`divisor` must not be 0, got 0\.0"):
        jaxinit.normal() / 0
    with pytest.raises(ValueError, match="`factor` must be finite, got inf"):
        1e300 * (1e300 * jaxinit.normal())
    for init in (jaxinit.normal(), jaxinit.orthogonal()):
        with pytest.raises(ValueError, match="`dtype` must be wide enough for the distribution"):
            (1e30 * init)(KEY, (2, 2), "float16")


def test_it_has_the_layout_and_the_dtype_of_the_initializer() -> None:
    for inner in (
        jaxinit.orthogonal(layout=TORCH, dtype="bfloat16"),
        jaxinit.xavier_normal(layout=TORCH, dtype="bfloat16"),
    ):
        scaled = 0.5 * inner
        assert scaled(KEY, (4, 4)).dtype == jnp.bfloat16
        assert isinstance(scaled, WithLayout)
        assert scaled.layout == TORCH
        assert with_layout(scaled, FLAX) == 0.5 * with_layout(inner, FLAX)
        assert for_stack(scaled, 2, 1) == 0.5 * for_stack(inner, 2, 1)  # type: ignore[operator]  # an initializer
    assert for_stack(0.5 * jaxinit.normal(), 2, 1) == 0.5 * jaxinit.normal()


def test_apply_gives_it_the_layout_of_the_layer() -> None:
    def draw(init: Initializer) -> np.ndarray:
        layer = nnx.ConvTranspose(4, 8, (3, 3), rngs=nnx.Rngs(0))
        jaxinit.nnx.apply(layer, lambda _: {"kernel": init}, KEY)
        return np.asarray(layer.kernel[...])

    np.testing.assert_array_equal(draw(0.5 * jaxinit.kaiming_uniform()), draw(jaxinit.kaiming_uniform()) * 0.5)
    np.testing.assert_array_equal(draw(0.5 * jaxinit.orthogonal()), draw(jaxinit.orthogonal()) * 0.5)


def test_a_stacked_weight_is_scaled_from_torchs_numbers() -> None:
    inner = jaxinit.orthogonal(layout=Layout(batch_axis=0))
    scaled, own = ((init)(TorchGenerator(0), (3, 4, 4)) for init in (2 * inner, inner))
    np.testing.assert_array_equal(scaled, np.asarray(own) * 2)


def test_apply_draws_a_sum_of_uniforms_from_torchs_numbers(seed: int) -> None:
    layer, init = nnx.Linear(4, 8, rngs=nnx.Rngs(0)), 0.5 * jaxinit.composed.sum_of_uniforms(-1, 1)
    jaxinit.nnx.apply(layer, lambda _: {"bias": init}, TorchGenerator(seed))
    drawn = jaxinit.nnx.state_dict(layer)["bias"]
    np.testing.assert_array_equal(drawn, np.asarray(init(TorchGenerator(seed), (8,))))


def test_an_empty_shape_warns_as_the_initializer_does() -> None:
    with pytest.warns(UserWarning, match="has no elements") as caught:
        (0.5 * jaxinit.kaiming_uniform())(KEY, (0, 3))
    assert caught[0].filename == __file__
