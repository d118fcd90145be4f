"""What `init` leaves as the model gave it: initializers of layers, copies, and changes in constructors."""

import copy
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit.distributions import Normal, Uniform
from tests.jaxinit.draws import assert_drawn
from tests.jaxinit.models.nnx.test_models import KEY

SOURCES: list[Callable[[], Any]] = [
    lambda: KEY,
    lambda: nnx.Rngs(KEY),
    lambda: jaxinit.TorchGenerator(5),
]


def of_half() -> Any:
    return jax.nn.initializers.constant(0.5)


@pytest.mark.parametrize("source", SOURCES)
def test_given_initializers_stay(source: Callable[[], Any]) -> None:
    class Policy(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.body = nnx.Linear(8, 64, rngs=rngs)
            self.head = nnx.Linear(64, 4, kernel_init=jaxinit.orthogonal(0.01), bias_init=of_half(), rngs=rngs)
            self.zeros = nnx.Linear(64, 4, kernel_init=nnx.initializers.zeros, rngs=rngs)
            self.norm = nnx.BatchNorm(4, scale_init=jaxinit.zeros(), rngs=rngs)
            self.table = nnx.Embed(50, 64, embedding_init=jaxinit.normal(std=0.02), rngs=rngs)
            self.slopes = nnx.List([nnx.PReLU(0.5), nnx.PReLU()])

    model: Any = jaxinit.nnx.init(Policy, source())
    assert_drawn(np.asarray(model.body.kernel), Uniform(-(8**-0.5), 8**-0.5))
    np.testing.assert_allclose(np.linalg.svd(model.head.kernel, compute_uv=False), 0.01, rtol=1e-4)
    assert (model.head.bias[...] == 0.5).all()
    assert not np.asarray(model.zeros.kernel).any()
    assert_drawn(np.asarray(model.zeros.bias), Uniform(-1 / 8, 1 / 8))
    assert not np.asarray(model.norm.scale).any()
    assert_drawn(np.asarray(model.table.embedding), Normal(0.0, 0.02))
    assert [float(slope.negative_slope[...]) for slope in model.slopes] == [0.5, 0.25]


def test_flaxs_own_default_stays_if_it_is_given() -> None:
    model = jaxinit.nnx.init(lambda rngs: nnx.Linear(64, 64, bias_init=nnx.initializers.zeros, rngs=rngs), KEY)
    assert not np.asarray(model.bias).any()
    assert_drawn(np.asarray(model.kernel), Uniform(-1 / 8, 1 / 8))


@pytest.mark.parametrize("source", SOURCES)
def test_parts_of_a_layer_have_its_initializers(source: Callable[[], Any]) -> None:
    attention = jaxinit.nnx.init(
        lambda rngs: nnx.MultiHeadAttention(2, 8, kernel_init=jaxinit.orthogonal(3.0), decode=False, rngs=rngs),
        source(),
    )
    for part in (attention.query, attention.out):
        kernel = np.asarray(part.kernel).reshape(8, 8)
        np.testing.assert_allclose(kernel @ kernel.T, 9 * np.eye(8), atol=1e-4)
    cell = jaxinit.nnx.init(
        lambda rngs: nnx.OptimizedLSTMCell(4, 16, recurrent_kernel_init=of_half(), rngs=rngs), source()
    )
    assert (cell.dense_h.kernel[...] == 0.5).all()
    assert_drawn(np.asarray(cell.dense_i.kernel), Uniform(-1 / 4, 1 / 4))


def test_subclasses_give_initializers() -> None:
    class Head(nnx.Linear):
        def __init__(self, size: int, *, rngs: nnx.Rngs) -> None:
            super().__init__(size, 2, kernel_init=of_half(), rngs=rngs)
            self.inner = nnx.Linear(size, 2, rngs=rngs)

    head = jaxinit.nnx.init(lambda rngs: Head(4, rngs=rngs), KEY)
    assert (head.kernel[...] == 0.5).all()
    assert head.bias is not None
    assert np.asarray(head.bias).any()
    assert_drawn(np.asarray(head.inner.kernel), Uniform(-1 / 2, 1 / 2))


def stack(rngs: nnx.Rngs) -> nnx.Sequential:
    return nnx.Sequential(nnx.Linear(4, 4, rngs=rngs), nnx.Linear(4, 4, kernel_init=of_half(), rngs=rngs))


def by_keys(rngs: nnx.Rngs) -> Any:
    return nnx.vmap(lambda key: stack(nnx.Rngs(key)))(jax.random.split(rngs.params(), 3))


def by_rngs(rngs: nnx.Rngs) -> Any:
    return nnx.split_rngs(splits=3)(nnx.vmap(stack))(rngs)


@pytest.mark.parametrize("build", [by_keys, by_rngs, nnx.jit(stack), nnx.jit(by_keys)])
def test_layers_in_transforms_keep_what_they_were_given(build: Callable[[nnx.Rngs], Any]) -> None:
    for _ in range(2):  # nnx.jit traces once
        model = jaxinit.nnx.init(build, KEY)
        assert (model.layers[1].kernel[...] == 0.5).all()
        for array in (model.layers[0].kernel, model.layers[0].bias, model.layers[1].bias):
            assert_drawn(np.asarray(array), Uniform(-1 / 2, 1 / 2))
    plain = [np.asarray(build(nnx.Rngs(seed)).layers[0].kernel) for seed in (0, 1)]
    assert (plain[0] != plain[1]).any()  # nothing of `init` stays in what nnx.jit keeps


class Target(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.online = nnx.Linear(4, 4, rngs=rngs)
        self.clone, self.deep = nnx.clone(self.online), copy.deepcopy(self.online)
        self.norm = nnx.Variable(jnp.linalg.norm(self.online.kernel[...]))
        self.head = nnx.Linear(4, 4, rngs=rngs)
        self.head.kernel[...] = self.head.kernel[...] * 0.01


@pytest.mark.parametrize("source", SOURCES)
def test_what_a_constructor_does_with_a_layer_it_does_with_torchs_numbers(source: Callable[[], Any]) -> None:
    model = jaxinit.nnx.init(Target, source())
    assert np.asarray(model.online.bias).any()
    for layer in (model.clone, model.deep):
        np.testing.assert_array_equal(layer.kernel, model.online.kernel)
        np.testing.assert_array_equal(layer.bias, model.online.bias)
    np.testing.assert_allclose(model.norm[...], np.linalg.norm(model.online.kernel), rtol=1e-6)
    assert 0 < abs(np.asarray(model.head.kernel)).max() <= 0.005


def halved(model: nnx.Module) -> Any:
    return jax.tree.map(lambda x: (x / 2).astype(jnp.bfloat16), model)


COPIES: dict[str, Callable[[Any], Any]] = {
    "clone": nnx.clone,
    "deepcopy": copy.deepcopy,
    "merge": lambda model: nnx.merge(*nnx.split(nnx.clone(model))),  # without clone, both would share variables
    "tree.map": halved,
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_of_a_layer_that_is_not_in_the_model_has_torchs_numbers(name: str) -> None:
    class Pair(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.plain = nnx.Linear(4, 4, rngs=rngs)
            self.given = nnx.Linear(4, 4, kernel_init=nnx.initializers.constant(3.0), rngs=rngs)

    class Copies(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            pair = Pair(rngs)
            self.first, self.second = COPIES[name](pair), COPIES[name](pair)

    factor = 0.5 if name == "tree.map" else 1
    model = jaxinit.nnx.init(lambda rngs: COPIES[name](Pair(rngs)), KEY)
    copies = jaxinit.nnx.init(Copies, KEY)
    for each in (model, copies.first, copies.second):
        assert not hasattr(each.plain, "jaxinit_given")
        bias = np.asarray(each.plain.bias[...], np.float32)
        assert 0 < abs(bias).max() <= factor / 2
        assert (each.given.kernel[...] == 3 * factor).all()
    np.testing.assert_array_equal(copies.first.plain.kernel, copies.second.plain.kernel)


def test_layers_of_one_kind_are_alike_while_a_model_is_built() -> None:
    """One may be mapped over with another, and nnx.jit traces once for both."""
    traces = []

    class Stacked(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.layers = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])
            self.mean = jax.tree.map(lambda a, b: (a + b) / 2, *self.layers)
            for layer in self.layers:
                self._double(layer)

        @staticmethod
        @nnx.jit
        def _double(layer: Any) -> None:
            traces.append(type(layer))
            layer.bias[...] = layer.bias[...] * 2

    with jax.check_tracer_leaks(False):  # JAX keeps no trace while it checks
        model = jaxinit.nnx.init(Stacked, KEY)
    assert len(traces) <= 2  # one in each of two runs
    first, second = (np.asarray(layer.bias) for layer in model.layers)
    assert not np.intersect1d(first, second).size
    assert 0 < abs(first).max() <= 1
    np.testing.assert_allclose(model.mean.bias, (first + second) / 4, rtol=1e-6)


def test_layers_that_were_built_before_keep_their_values() -> None:
    class Around(nnx.Module):
        def __init__(self, layer: nnx.Linear, rngs: nnx.Rngs) -> None:
            self.layer, self.head = layer, nnx.Linear(4, 4, rngs=rngs)

    layer = nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    before = np.asarray(layer.kernel)
    model = jaxinit.nnx.init(lambda rngs: Around(layer, rngs), KEY)
    assert model.layer is layer
    np.testing.assert_array_equal(layer.kernel, before)
    assert np.asarray(model.head.bias).any()


@pytest.mark.usefixtures("torchs_qr")
def test_torch_draws_a_layer_before_what_it_was_given(seed: int) -> None:
    def layer_init(layer: torch.nn.Linear, std: float) -> torch.nn.Linear:
        torch.nn.init.orthogonal_(layer.weight, std)
        torch.nn.init.constant_(layer.bias, 0.5)
        return layer

    def ours(sizes: tuple[int, int], std: float, rngs: nnx.Rngs) -> nnx.Linear:
        return nnx.Linear(*sizes, kernel_init=jaxinit.orthogonal(std), bias_init=jaxinit.constant(0.5), rngs=rngs)

    class Policy(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.first = ours((8, 64), 2**0.5, rngs)
            padded = jaxinit.defaults.embedding(padding_idx=0)["embedding_init"]
            self.table = nnx.Embed(9, 4, embedding_init=padded, rngs=rngs)
            self.up = nnx.LinearGeneral(4, (2, 3), kernel_init=jaxinit.xavier_normal(), rngs=rngs)
            self.head = ours((64, 4), 0.01, rngs)
            self.plain = nnx.Linear(4, 4, kernel_init=jaxinit.defaults.linear(4)["kernel_init"], rngs=rngs)

    torch.manual_seed(seed)
    first = layer_init(torch.nn.Linear(8, 64), 2**0.5)
    table, up = torch.nn.Embedding(9, 4, padding_idx=0), torch.nn.Linear(4, 6)
    torch.nn.init.xavier_normal_(up.weight)
    head, plain = layer_init(torch.nn.Linear(64, 4), 0.01), torch.nn.Linear(4, 4)
    model = jaxinit.nnx.init(Policy, jaxinit.TorchGenerator(seed))
    np.testing.assert_array_equal(model.first.kernel, first.weight.detach().T)
    np.testing.assert_array_equal(model.table.embedding, table.weight.detach())
    np.testing.assert_array_equal(np.asarray(model.up.kernel).reshape(4, 6), up.weight.detach().T)
    np.testing.assert_array_equal(np.asarray(model.up.bias).reshape(6), up.bias.detach())
    np.testing.assert_array_equal(model.head.kernel, head.weight.detach().T)
    np.testing.assert_array_equal(model.plain.kernel, plain.weight.detach().T)
