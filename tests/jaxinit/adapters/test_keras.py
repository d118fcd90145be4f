"""Keras's layers, which pass no key, and whose weights have many layouts."""

import math
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
import torch
from scipy import stats

import jaxinit
from jaxinit import TORCH, Layout
from tests.jaxinit.draws import FALSE_ALARM

KEY = jax.random.key(0)


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
    # Of two entries chance makes one number less than once in 2^24.
    assert np.intersect1d(query, value).size <= stats.poisson.isf(FALSE_ALARM, query.size * value.size * 2.0**-24)


@pytest.mark.parametrize("seed", [0, None])
def test_copies_of_an_integer_seed_draw_the_same(seed: int | None) -> None:
    init = jaxinit.keras.initializer(jaxinit.normal(), seed)
    layer = keras.layers.Bidirectional(keras.layers.LSTM(3, kernel_initializer=init))
    with jax.numpy_rank_promotion("allow"):  # which Keras relies on
        layer.build((None, 2, 8))
    forward, backward = (each.cell.kernel.value for each in (layer.forward_layer, layer.backward_layer))
    assert bool((forward == backward).all()) is (seed is not None)


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


def drawn_by(layer: Any, *inputs: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return the weights of a layer after it has seen inputs of these shapes."""
    dtype = "int32" if isinstance(layer, keras.layers.Embedding) else "float32"
    with jax.numpy_rank_promotion("allow"):  # which Keras relies on
        layer(*(np.zeros(shape, dtype) for shape in inputs))
    return {weight.path.partition("/")[2]: np.asarray(weight.value) for weight in layer.weights}


UNIFORM = jaxinit.kaiming_uniform(a=math.sqrt(5))  # bound 1 / sqrt(fan_in)
INIT = jaxinit.keras.initializer(UNIFORM)
CHANNELS = 16

# A layer of Keras, its inputs, and for each weight torch's layer that has the same one.
LAYERS: dict[str, tuple[Any, tuple[tuple[int, ...], ...], dict[str, torch.Tensor]]] = {
    "Dense": (keras.layers.Dense(24, kernel_initializer=INIT), ((2, 16),), {"kernel": torch.empty(24, 16)}),
    "Conv2D": (
        keras.layers.Conv2D(24, (3, 5), groups=2, kernel_initializer=INIT),
        ((1, 8, 8, 16),),
        {"kernel": torch.nn.Conv2d(16, 24, (3, 5), groups=2).weight},
    ),
    "Conv2DTranspose": (
        keras.layers.Conv2DTranspose(24, 3, kernel_initializer=INIT),
        ((1, 8, 8, 4),),
        {"kernel": torch.nn.ConvTranspose2d(4, 24, 3).weight},
    ),
    "DepthwiseConv1D": (
        keras.layers.DepthwiseConv1D(5, depth_multiplier=2, depthwise_initializer=INIT),
        ((1, 8, CHANNELS),),
        {"kernel": torch.nn.Conv1d(CHANNELS, 2 * CHANNELS, 5, groups=CHANNELS).weight},
    ),
    "DepthwiseConv2D": (
        keras.layers.DepthwiseConv2D((3, 5), depth_multiplier=3, depthwise_initializer=INIT),
        ((1, 8, 8, CHANNELS),),
        {"kernel": torch.nn.Conv2d(CHANNELS, 3 * CHANNELS, (3, 5), groups=CHANNELS).weight},
    ),
    "SeparableConv2D": (
        keras.layers.SeparableConv2D(24, 3, depth_multiplier=2, depthwise_initializer=INIT, pointwise_initializer=INIT),
        ((1, 8, 8, CHANNELS),),
        {
            "depthwise_kernel": torch.nn.Conv2d(CHANNELS, 2 * CHANNELS, 3, groups=CHANNELS).weight,
            "pointwise_kernel": torch.nn.Conv2d(2 * CHANNELS, 24, 1).weight,
        },
    ),
    "SeparableConv1D, whose kernels have equal sizes": (
        keras.layers.SeparableConv1D(8, 1, depth_multiplier=8, depthwise_initializer=INIT, pointwise_initializer=INIT),
        ((1, 8, CHANNELS),),
        {
            "depthwise_kernel": torch.nn.Conv1d(CHANNELS, 8 * CHANNELS, 1, groups=CHANNELS).weight,
            "pointwise_kernel": torch.nn.Conv1d(8 * CHANNELS, 8, 1).weight,
        },
    ),
    "EinsumDense": (
        keras.layers.EinsumDense("abc,cde->abde", (None, 3, 20), kernel_initializer=INIT),
        ((1, 4, 16),),
        {"kernel": torch.nn.Linear(16, 60).weight},
    ),
    "EinsumDense, ellipsis": (
        keras.layers.EinsumDense("...x,yx->...y", (24,), kernel_initializer=INIT),
        ((1, 4, 16),),
        {"kernel": torch.nn.Linear(16, 24).weight},
    ),
    "EinsumDense, experts": (
        keras.layers.EinsumDense("ebc,ecd->ebd", (None, 24), kernel_initializer=INIT),
        ((8, 4, 16),),
        {"kernel": torch.nn.Linear(16, 24).weight},
    ),
    "MultiHeadAttention": (
        keras.layers.MultiHeadAttention(3, 8, kernel_initializer=INIT),
        ((1, 3, 48), (1, 3, 32)),
        {
            "query/kernel": torch.nn.Linear(48, 24).weight,
            "key/kernel": torch.nn.Linear(32, 24).weight,
            "value/kernel": torch.nn.Linear(32, 24).weight,
            "attention_output/kernel": torch.nn.Linear(24, 48).weight,
        },
    ),
    "GroupQueryAttention": (
        keras.layers.GroupQueryAttention(8, 6, 2, kernel_initializer=INIT),
        ((1, 3, 32), (1, 3, 32)),
        {
            "query/kernel": torch.nn.Linear(32, 48).weight,
            "key/kernel": torch.nn.Linear(32, 16).weight,
            "value/kernel": torch.nn.Linear(32, 16).weight,
            "attention_output/kernel": torch.nn.Linear(48, 32).weight,
        },
    ),
    "LSTM": (
        keras.layers.LSTM(16, kernel_initializer=INIT, recurrent_initializer=INIT),
        ((1, 3, 24),),
        {"lstm_cell/kernel": torch.empty(64, 24), "lstm_cell/recurrent_kernel": torch.empty(64, 16)},
    ),
    "ConvLSTM2D": (
        keras.layers.ConvLSTM2D(8, 3, kernel_initializer=INIT),
        ((1, 2, 6, 6, 4),),
        {"conv_lstm_cell/kernel": torch.empty(32, 4, 3, 3)},
    ),
    "Embedding": (
        keras.layers.Embedding(30, 12, embeddings_initializer=INIT),
        ((1, 2),),
        {"embeddings": torch.nn.Embedding(30, 12).weight},
    ),
}


@pytest.mark.parametrize("name", LAYERS)
def test_each_layer_of_keras_has_the_fans_of_torchs_layer(name: str) -> None:
    """The largest of 100 entries is below 0.75 of the bound with probability 3e-13, and never above the bound."""
    layer, inputs, weights = LAYERS[name]
    drawn = drawn_by(layer, *inputs)
    for path, of_torch in weights.items():
        fan_in, _ = torch.nn.init._calculate_fan_in_and_fan_out(of_torch)
        weight = drawn[path if path in drawn else path.rpartition("/")[2]]
        assert weight.size >= 100
        assert 0.75 < abs(weight).max() * math.sqrt(fan_in) <= 1 + 1e-6, path


def test_depthwise_filters_are_torchs_groups() -> None:
    layer = keras.layers.DepthwiseConv1D(
        3, depth_multiplier=2, depthwise_initializer=jaxinit.keras.initializer(jaxinit.dirac())
    )
    kernel = drawn_by(layer, (1, 8, 4))["kernel"]
    torchs = np.asarray(jaxinit.dirac()(KEY, (3, 1, 8)))
    np.testing.assert_array_equal(kernel, torchs.reshape(3, 4, 2))


class Blocks(keras.Model):  # type: ignore[misc]  # Keras has no types
    """A model without `build`, whose weights Keras draws outside of their layers."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = keras.layers.DepthwiseConv2D(3, depth_multiplier=4, depthwise_initializer=INIT)
        self.heads = keras.layers.EinsumDense("abcd,def->abcef", (None, None, 4, 8), kernel_initializer=INIT)

    def call(self, x: Any) -> Any:
        return self.heads(self.depthwise(x))


@pytest.mark.parametrize("build", ["call", "functional"])
def test_layers_in_a_model_without_build_have_their_layouts(build: str) -> None:
    model = Blocks()
    if build == "functional":
        model(keras.Input((5, 5, 16)))
    else:
        model(np.zeros((1, 5, 5, 16)))
    kernel, heads = model.depthwise.kernel.value, model.heads.kernel.value
    assert 0.75 < float(abs(kernel).max()) * 3 <= 1 + 1e-6
    assert 0.75 < float(abs(heads).max()) * 8 <= 1 + 1e-6


class Custom(keras.layers.Layer):  # type: ignore[misc]  # Keras has no types
    def __init__(self, shape: tuple[int, ...], init: Any) -> None:
        super().__init__()
        self.shape, self.init = shape, jaxinit.keras.initializer(init)

    def build(self, _: Any) -> None:
        self.kernel = self.add_weight(shape=self.shape, initializer=self.init)


def test_a_layout_that_cannot_be_known_is_refused() -> None:
    message = (
        r"no layout is known for the weight \(8, 2, 16\) of Custom; name its axes, counted from the front, "
        r"with layout=jaxinit.Layout\(in_axis=..., out_axis=...\)"
    )
    with pytest.raises(ValueError, match=message):
        Custom((8, 2, 16), UNIFORM).build(None)
    for init in (jaxinit.normal(), jaxinit.kaiming_uniform(a=math.sqrt(5), layout=Layout(0, (1, 2)))):
        Custom((8, 2, 16), init).build(None)
    Custom((8, 16), UNIFORM).build(None)


def test_a_layout_that_is_given_is_kept() -> None:
    layer = keras.layers.Dense(400, kernel_initializer=jaxinit.keras.initializer(jaxinit.kaiming_uniform(layout=TORCH)))
    kernel = drawn_by(layer, (1, 3))["kernel"]
    assert 0.75 < abs(kernel).max() * math.sqrt(400 / 6) <= 1 + 1e-6


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras 3.15's own code
def test_a_file_with_attention_and_depthwise_convolutions_loads(tmp_path: pathlib.Path) -> None:
    x = inputs = keras.Input((6, 6, CHANNELS))
    x = keras.layers.DepthwiseConv2D(3, depthwise_initializer=INIT)(x)
    x = keras.layers.Reshape((16, CHANNELS))(x)
    x = keras.layers.MultiHeadAttention(2, 8, kernel_initializer=INIT)(x, x)
    model = keras.Model(inputs, x)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.layers[1].depthwise_initializer.init == UNIFORM
    for one, other in zip(loaded.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_describe_says_which_arrays_of_a_keras_model_to_pass() -> None:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    with pytest.raises(
        TypeError, match=r"got Sequential without one\. Pass \{w\.path: w\.value for w in model\.weights\}$"
    ):
        jaxinit.describe(model)
    rows = jaxinit.describe({weight.path: weight.value for weight in model.weights}).rows
    assert [row.path.split("/")[-1] for row in rows] == ["kernel", "bias"]
