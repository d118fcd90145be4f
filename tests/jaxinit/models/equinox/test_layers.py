"""Each layer of Equinox that jaxinit knows: torch's distributions, outputs, numbers and tensors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TorchGenerator
from jaxinit._models.equinox import layers
from jaxinit._models.equinox.model import EquinoxModel
from jaxinit.distributions import Constant, Distribution, Normal, Triangular, Uniform
from jaxinit_conformance.reference import torch_modules
from tests.jaxinit.models.equinox.pairs import PAIRS, built, called
from tests.jaxinit.models.torch_layers import filled
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = pytest.mark.usefixtures("torch_seed")
WIDE = 1e-12


def array(tensor: torch.Tensor) -> jax.Array:
    return jnp.asarray(tensor.detach().numpy())


def assert_close(ours: Any, theirs: torch.Tensor) -> None:
    np.testing.assert_allclose(np.asarray(ours), theirs.detach().numpy(), rtol=0, atol=WIDE)


def loaded(name: str) -> tuple[torch.nn.Module, Any]:
    """Return torch's module in float64, with other values than its initial ones, and the layer with its weights."""
    theirs, ours = filled(PAIRS[name].torch().double()), built(PAIRS[name])
    model, names = jaxinit.equinox.load(ours, theirs.state_dict())
    assert {own for found in names.values() for own in found} == {
        own for own in theirs.state_dict() if "num_batches" not in own
    }
    return theirs.eval(), model


@pytest.mark.parametrize("name", [name for name, pair in PAIRS.items() if pair.shape])
def test_a_layer_with_torchs_weights_computes_what_torch_computes(name: str) -> None:
    with jax.enable_x64(True):
        theirs, ours = loaded(name)
        x = torch.randn(PAIRS[name].shape, dtype=torch.float64)
        assert_close(called(ours, array(x)), theirs(x))


def test_embedding() -> None:
    with jax.enable_x64(True):
        theirs, ours = loaded("Embedding")
        assert_close(jax.vmap(ours)(jnp.array([1, 6])), theirs(torch.tensor([1, 6])))


@pytest.mark.parametrize("name", [name for name in PAIRS if name.startswith("MultiheadAttention")])
def test_attention(name: str) -> None:
    with jax.enable_x64(True):
        theirs, ours = loaded(name)
        sizes = (ours.query_size, ours.key_size, ours.value_size)
        inputs = [
            torch.randn(3, length, size, dtype=torch.float64) for length, size in zip((4, 6, 6), sizes, strict=True)
        ]
        assert_close(jax.vmap(ours)(*map(array, inputs)), theirs(*inputs)[0])


@pytest.mark.parametrize("name", [name for name in PAIRS if name.startswith(("LSTM", "GRU"))])
def test_recurrent_cells(name: str) -> None:
    with jax.enable_x64(True):
        theirs, ours = loaded(name)
        x, h, c = (torch.randn(2, size, dtype=torch.float64) for size in (3, 5, 5))
        if "LSTM" in name:
            for mine, other in zip(jax.vmap(ours)(array(x), (array(h), array(c))), theirs(x, (h, c)), strict=True):
                assert_close(mine, other)
        else:
            assert_close(jax.vmap(ours)(array(x), array(h)), theirs(x, h))


def parameters(model: Any) -> dict[str, Any]:
    return dict(jaxinit.equinox.initializers(model))


@pytest.mark.parametrize("name", PAIRS)
def test_each_parameter_has_the_distribution_that_torch_draws_it_from(name: str) -> None:
    """The distributions are numbers, which are compared with the arguments of torch's own calls."""
    model = built(PAIRS[name])
    module, recorded = torch_modules.record(PAIRS[name].torch)
    _, matched = jaxinit.equinox.load(model, module.state_dict())
    inits = parameters(model)
    assert inits.keys() == matched.keys() != set()
    shapes = {path: leaf.shape for path, leaf in arrays(model).items()}
    for path, tensors in matched.items():
        expected = [recorded[tensor].expected for tensor in tensors]
        assert all(each == expected[0] for each in expected)
        for distribution in distributions(inits[path], shapes[path]):
            match distribution:
                case Normal(mean, std):
                    assert (mean, std, "normal") == (expected[0].loc, expected[0].scale, expected[0].kind)
                case Constant(value):
                    assert (value, "constant") == (expected[0].loc, expected[0].kind)
                case Triangular(low, high):
                    assert len(tensors) == 2
                    np.testing.assert_allclose([low / 2, high / 2], [expected[0].low, expected[0].high], rtol=1e-12)
                case Uniform(low, high):
                    assert len(tensors) == 1 or isinstance(inits[path], jaxinit.composed.concatenated)
                    np.testing.assert_allclose([low, high], [expected[0].low, expected[0].high], rtol=1e-12)
                case _:
                    raise AssertionError(distribution)


def distributions(init: Any, shape: tuple[int, ...]) -> list[Distribution]:
    """Return what each part of a parameter is drawn from."""
    parts: Any = init.inits if isinstance(init, jaxinit.composed.concatenated) else [init]
    return [each.distribution(shape) for each in parts]


def arrays(model: Any) -> dict[str, np.ndarray]:
    """Return parameters and running statistics by path, as the layer computes with them."""
    view = EquinoxModel(model)
    return {".".join(path): np.asarray(view.values()[path]) for path in view.stacks.places}


@as_on_avx2
@pytest.mark.parametrize("name", PAIRS)
def test_a_layer_has_torchs_numbers_from_torchs_seed(name: str, seed: int) -> None:
    generator = TorchGenerator(seed)
    ours = jaxinit.equinox.init(PAIRS[name].equinox, generator)
    expected = torch.manual_seed(seed)
    theirs = PAIRS[name].torch()
    assert_same_state(generator, expected)
    wanted, _ = jaxinit.equinox.load(built(PAIRS[name]), theirs.state_dict())
    found = arrays(ours)
    for path, own in arrays(wanted).items():
        np.testing.assert_array_equal(found[path], own, err_msg=path)


@pytest.mark.parametrize("name", PAIRS)
def test_a_layer_becomes_torchs_state_and_comes_back(name: str) -> None:
    theirs = filled(PAIRS[name].torch())
    state = {own: tensor.numpy() for own, tensor in theirs.state_dict().items() if "num_batches" not in own}
    model, _ = jaxinit.equinox.load(built(PAIRS[name]), state)
    back = jaxinit.equinox.state_dict(model, names=list(state))
    assert back.keys() == state.keys()
    again, _ = jaxinit.equinox.load(built(PAIRS[name]), back)
    for path, own in arrays(model).items():
        np.testing.assert_array_equal(arrays(again)[path], own, err_msg=path)
    for name_in_torch, tensor in state.items():
        if not name_in_torch.startswith("bias_"):  # torch's two biases are one in Equinox
            np.testing.assert_array_equal(back[name_in_torch], tensor, err_msg=name_in_torch)


def test_every_row_of_the_table_has_a_pair() -> None:
    found = {type(node.module) for pair in PAIRS.values() for node in EquinoxModel(built(pair)).nodes}
    for row in layers.ROWS:
        assert any(issubclass(kind, getattr(eqx.nn, row.equinox)) for kind in found), row
        assert all(hasattr(torch.nn, name) for name in row.torch.replace(" to ", ", ").split(", ")), row


def test_every_layer_of_equinox_has_a_row_or_no_parameters() -> None:
    kinds = {kind for kind in vars(eqx.nn).values() if isinstance(kind, type) and issubclass(kind, eqx.Module)}
    rows = {getattr(eqx.nn, row.equinox) for row in layers.ROWS}
    without = {kind.__name__ for kind in kinds if not issubclass(kind, tuple(rows))}
    assert without == {
        # of layers, or of none
        "AdaptiveAvgPool1d", "AdaptiveAvgPool2d", "AdaptiveAvgPool3d", "AdaptiveMaxPool1d", "AdaptiveMaxPool2d",
        "AdaptiveMaxPool3d", "AdaptivePool", "AvgPool1d", "AvgPool2d", "AvgPool3d", "Dropout", "Identity", "Lambda",
        "MLP", "MaxPool1d", "MaxPool2d", "MaxPool3d", "Pool", "RotaryPositionalEmbedding", "Sequential", "Shared",
        "SpectralNorm", "StateIndex", "StatefulLayer", "WeightNorm",
    }  # fmt: skip


@as_on_avx2
@pytest.mark.filterwarnings("ignore:(Initializing zero-element tensors|`shape` .* has no elements):UserWarning")
@pytest.mark.parametrize("sizes", [(0, 5), (3, 0)])
def test_a_layer_of_size_zero(sizes: tuple[int, int], seed: int) -> None:
    model = jaxinit.equinox.init(lambda key: eqx.nn.Linear(*sizes, key=key), generator := TorchGenerator(seed))
    expected = torch.manual_seed(seed)
    theirs = torch.nn.Linear(*sizes).state_dict()
    assert_same_state(generator, expected)
    loaded, _ = jaxinit.equinox.load(model, theirs)
    for own in (model, loaded):
        state = jaxinit.equinox.state_dict(own)
        assert state.keys() == theirs.keys()
        for name, tensor in theirs.items():
            np.testing.assert_array_equal(state[name], tensor, strict=True)
