"""Callers of other styles: MaxText's, which names axes, and Keras and Haiku, which pass no key."""

import math
import pathlib
import pickle
from collections.abc import Callable
from typing import Any

import haiku
import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import jaxinit
from jaxinit import Layout
from jaxinit._initializers.text import from_text
from tests.jaxinit.initializers.test_base import VALUES

KEY = jax.random.key(0)
UNTYPED: Any = jaxinit
HAIKU: Any = haiku


@pytest.mark.parametrize(
    ("shape", "in_axis", "out_axis", "layout"),
    [
        ((64, 32), 0, 1, Layout()),
        ((4, 64, 32), 1, 2, Layout(batch_axis=0)),
        ((4, 64, 32), -2, -1, Layout(batch_axis=0)),
        ((64, 6, 32), 0, 2, Layout(0, 2, 1)),
        ((64, 4, 8), 0, (1, 2), Layout(0, (1, 2))),
        ((4, 8, 2, 64), (0, 1), -1, Layout((0, 1), 3, 2)),
    ],
)
@pytest.mark.parametrize(
    "factory", [jaxinit.kaiming_normal, jaxinit.orthogonal, lambda **given: 0.5 * jaxinit.sparse(0.1, **given)]
)
def test_the_call_names_the_axes(shape: Any, in_axis: Any, out_axis: Any, layout: Layout, factory: Any) -> None:
    drawn = jaxinit.at_call(factory())(KEY, shape, jnp.float32, in_axis, out_axis)
    np.testing.assert_array_equal(drawn, factory(layout=layout)(KEY, shape))


def test_experts_do_not_count_in_the_fans() -> None:
    drawn = jaxinit.at_call(jaxinit.kaiming_normal())(KEY, (8, 256, 512), jnp.bfloat16, 1, 2)
    assert drawn.dtype == jnp.bfloat16
    assert abs(float(drawn.astype(jnp.float32).std()) * math.sqrt(256 / 2) - 1) < 0.01


def test_at_call_is_a_value() -> None:
    init = jaxinit.at_call(jaxinit.normal())
    assert init == pickle.loads(pickle.dumps(init)) != jaxinit.at_call(jaxinit.uniform())
    assert hash(init) == hash(jaxinit.at_call(jaxinit.normal()))
    np.testing.assert_array_equal(init(KEY, (3,), None, 5, 6), jaxinit.normal()(KEY, (3,)))


def test_axes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must name each axis once"):
        jaxinit.at_call(jaxinit.orthogonal())(KEY, (3, 4), None, 1, -1)
    with pytest.raises(ValueError, match="`shape` must have at least 3 dimensions"):
        jaxinit.at_call(jaxinit.orthogonal())(KEY, (3, 4), None, 1, 2)


@pytest.mark.parametrize("adapter", [jaxinit.at_call, jaxinit.haiku.initializer, jaxinit.keras.initializer])
def test_only_initializers_of_jaxinit_are_adapted(adapter: Any) -> None:
    with pytest.raises(TypeError, match=r"`init` must be an initializer such as jaxinit.normal"):
        adapter(jax.nn.initializers.zeros)


def test_a_call_of_another_style_names_the_adapter() -> None:
    with_axes: list[Callable[[], Any]] = [
        lambda: UNTYPED.normal()(KEY, (3, 4), jnp.float32, 0, 1),
        lambda: UNTYPED.normal()(KEY, (3, 4), in_axis=0, out_axis=1),
    ]
    for call in with_axes:
        with pytest.raises(TypeError, match=r"got `in_axis` or `out_axis` too; pass jaxinit.at_call\(init\)"):
            call()
    without_key: list[Callable[[], Any]] = [
        lambda: UNTYPED.zeros()((3, 4), dtype="float32"),
        lambda: UNTYPED.zeros()([3, 4], jnp.float32),
        lambda: UNTYPED.zeros()(shape=(3, 4)),
        lambda: keras.layers.Dense(4, kernel_initializer=jaxinit.normal()).build((None, 3)),
        lambda: HAIKU.transform(lambda: HAIKU.Linear(4, w_init=UNTYPED.normal())(jnp.ones((1, 3)))).init(KEY),
    ]
    for call in without_key:
        with pytest.raises(TypeError, match=r"pass jaxinit.keras.initializer\(init\) to Keras and jaxinit.haiku"):
            call()


# Haiku.


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


# Keras.


def dense(init: jaxinit.Initializer, seed: int | None = None) -> np.ndarray:
    layer = keras.layers.Dense(5, kernel_initializer=jaxinit.keras.initializer(init, seed))
    layer.build((None, 7))
    return np.asarray(layer.kernel.value)


def test_keras_draws_from_its_seed() -> None:
    init = jaxinit.kaiming_uniform()
    drawn = dense(init, 3)
    assert abs(drawn).max() <= math.sqrt(6 / 7)
    np.testing.assert_array_equal(drawn, dense(init, 3))
    assert not np.intersect1d(drawn, dense(init, 4)).size
    by_global_seed = []
    for _ in range(2):
        keras.utils.set_random_seed(5)
        by_global_seed.append(dense(init))
    np.testing.assert_array_equal(by_global_seed[0], by_global_seed[1])
    assert not np.intersect1d(by_global_seed[0], dense(init)).size


def test_layers_that_share_an_initializer_have_their_own_numbers() -> None:
    init = jaxinit.keras.initializer(jaxinit.normal(), seed=0)
    first, second = init((3, 4)), init((3, 4), "bfloat16")
    assert (first.dtype, second.dtype) == (jnp.float32, jnp.bfloat16)
    assert not np.intersect1d(first.astype(jnp.bfloat16), second).size
    attention = keras.layers.MultiHeadAttention(2, 4, kernel_initializer=jaxinit.keras.initializer(jaxinit.normal()))
    attention.build((1, 3, 8), (1, 3, 8))
    query, value = attention.query_dense.kernel.value, attention.value_dense.kernel.value
    assert query.shape == (8, 2, 4)
    assert not np.intersect1d(query, value).size


def test_kerass_transposed_convolution_has_torchs_fans() -> None:
    init = jaxinit.keras.initializer(jaxinit.kaiming_uniform(), seed=0)
    layer = keras.layers.Conv1DTranspose(6, 3, kernel_initializer=init)
    layer.build((None, 8, 4))
    assert layer.kernel.shape == (3, 6, 4)
    assert 0.9 < float(abs(layer.kernel.value).max()) / math.sqrt(6 / (6 * 3)) <= 1


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras 3.15's own code
def test_a_file_of_keras_saves_and_loads_it(tmp_path: pathlib.Path) -> None:
    init = jaxinit.keras.initializer(0.5 * jaxinit.orthogonal(layout="OI") / 3, seed=7)
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(4, kernel_initializer=init)])
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    again = loaded.layers[0].kernel_initializer
    assert isinstance(again, jaxinit.keras.initializer)
    assert (again.init, again.seed) == (init.init, 7)
    np.testing.assert_array_equal(loaded.layers[0].kernel.value, model.layers[0].kernel.value)
    assert keras.initializers.get(keras.initializers.serialize(init)).get_config() == init.get_config()


def test_a_bad_seed_is_refused() -> None:
    with pytest.raises(TypeError, match=r"`seed` must be an integer, got 1\.5"):
        jaxinit.keras.initializer(jaxinit.normal(), 1.5)  # type: ignore[arg-type]  # which is refused


@pytest.mark.parametrize("init", VALUES, ids=repr)
def test_its_text_gives_the_initializer(init: jaxinit.Initializer) -> None:
    assert from_text(repr(init)) == init


@pytest.mark.parametrize(
    "text",
    ["", "1", "jaxinit.nnx", "normal()", "jaxinit.norma()", "jaxinit.normal", "open('x')", "jaxinit.normal().std", "(",
     "jaxinit.normal(__import__('os'))", "jaxinit.normal() or 1", "jaxinit.normal.__subclasses__()"],
)  # fmt: skip
def test_other_texts_are_refused_and_never_run(text: str) -> None:
    with pytest.raises(ValueError, match="`init` must be the text of an initializer of jaxinit, got"):
        from_text(text)
