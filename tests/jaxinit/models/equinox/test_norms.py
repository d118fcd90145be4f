"""What norms of Equinox keep besides parameters: running statistics and their counts, scales, singular vectors."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TorchGenerator
from tests.jaxinit.models.equinox.test_layers import array, arrays, assert_close
from tests.jaxinit.models.equinox.test_models import KEY, WITH_STATE
from tests.jaxinit.models.torch_layers import filled
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = pytest.mark.usefixtures("torch_seed")

# Rounding of 16 iterations is larger only if they begin with a cosine below 6e-6: of 24 entries, one start in 40,000.
ITERATED = 1e-8


def batch_norm(mode: Any, momentum: float = 0.9) -> Any:
    return WITH_STATE(eqx.nn.BatchNorm)(6, "batch", mode=mode, momentum=momentum)


def trained(model: Any, x: torch.Tensor) -> tuple[jax.Array, Any]:
    """Return the outputs for a batch in training mode, and the model with its new state."""
    layer, state = model
    call = jax.vmap(layer, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    y, state = call(array(x), jax.tree.map(jnp.copy, state))
    return y, (layer, state)


def evaluated(model: Any, x: torch.Tensor) -> Any:
    layer, state = eqx.nn.inference_mode(model[0]), model[1]
    return jax.vmap(lambda one: layer(one, state)[0])(array(x))


@pytest.mark.parametrize("mode", ["batch", "ema"])
def test_running_statistics_of_torch_last_when_training_goes_on(mode: str) -> None:
    """Equinox follows the variance of a batch, and torch the unbiased one: n / (n - 1) times as much."""
    with jax.enable_x64(True):
        theirs: Any = filled(torch.nn.BatchNorm1d(6).double())
        model, _ = jaxinit.equinox.load(batch_norm(mode), theirs.state_dict())
        x = torch.randn(8, 6, 5, dtype=torch.float64)
        before = {name: tensor.clone() for name, tensor in theirs.state_dict().items()}
        theirs(x)
        _, model = trained(model, x)
        state = arrays(model)
        assert_close(state["running_mean"], theirs.running_mean)
        step = theirs.running_var - 0.9 * before["running_var"]
        assert_close(state["running_var"], 0.9 * before["running_var"] + step * 39 / 40)


@pytest.mark.parametrize("mode", ["batch", "ema"])
def test_a_new_layer_counts_from_the_beginning(mode: str) -> None:
    model, _ = jaxinit.equinox.load(batch_norm(mode), filled(torch.nn.BatchNorm1d(6)).state_dict())
    new = jaxinit.equinox.reset_parameters(model, KEY)
    built = batch_norm(mode)
    counts = [leaf for leaf in jax.tree.leaves(new) if not eqx.is_inexact_array(leaf)]
    assert counts == [leaf for leaf in jax.tree.leaves(built) if not eqx.is_inexact_array(leaf)]
    assert (arrays(new)["running_var"] == 1).all()


def test_running_statistics_are_returned_as_the_layer_computes_with_them() -> None:
    with jax.enable_x64(True):
        x = torch.randn(8, 6, 5, dtype=torch.float64)
        _, model = trained(batch_norm("batch"), x)
        theirs = torch.nn.BatchNorm1d(6).double().eval()
        state = jaxinit.equinox.state_dict(model)
        theirs.load_state_dict({name: torch.from_numpy(own) for name, own in state.items()}, strict=False)
        assert_close(evaluated(model, x), theirs(x))


def test_statistics_that_lie_in_a_state_need_it() -> None:
    model, _ = batch_norm("batch")
    message = r"unexpected running_mean.*(\n.*)*Pass the pair \(model, state\)$"
    with pytest.raises(ValueError, match=message):
        jaxinit.equinox.load(model, torch.nn.BatchNorm1d(6).state_dict())
    _, names = jaxinit.equinox.load(model, torch.nn.BatchNorm1d(6).state_dict(), ignore="running_*")
    assert names == {"weight": ("weight",), "bias": ("bias",)}


def test_statistics_lie_in_the_layer_until_a_state_is_made() -> None:
    theirs = filled(torch.nn.BatchNorm1d(6))
    layer, _ = jaxinit.equinox.load(eqx.nn.BatchNorm(6, "batch", mode="batch"), theirs.state_dict())
    x = torch.randn(8, 6, 5)
    np.testing.assert_allclose(evaluated((layer, eqx.nn.State(layer)), x), theirs.eval()(x).detach(), rtol=0, atol=1e-5)


def test_an_array_in_the_state_of_a_users_layer_is_a_buffer() -> None:
    class Counter(eqx.Module):
        linear: eqx.nn.Linear
        seen: eqx.nn.StateIndex[jax.Array]

        def __init__(self, key: jax.Array) -> None:
            self.linear, self.seen = eqx.nn.Linear(2, 3, key=key), eqx.nn.StateIndex(jnp.full(2, 3.0))

    model, state = jaxinit.equinox.init(WITH_STATE(Counter), KEY)
    assert (state.get(model.seen) == 3).all()
    torchs = jaxinit.equinox.state_dict((model, state))
    assert torchs.keys() == {"linear.weight", "linear.bias", "seen"}
    (model, state), _ = jaxinit.equinox.load((model, state), {**torchs, "seen": np.ones(2)})
    assert (state.get(model.seen) == 1).all()
    del torchs["seen"]
    jaxinit.equinox.load((model, state), torchs)


class WeightNormed(eqx.Module):
    conv: eqx.nn.WeightNorm[eqx.nn.Conv1d]

    def __init__(self, key: jax.Array) -> None:
        self.conv = eqx.nn.WeightNorm(eqx.nn.Conv1d(3, 4, 2, key=key))


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated:FutureWarning")
@pytest.mark.parametrize("wrap", [torch.nn.utils.weight_norm, torch.nn.utils.parametrizations.weight_norm])
def test_weight_norm(wrap: Any) -> None:
    theirs: Any = filled(torch.nn.ModuleDict({"conv": wrap(torch.nn.Conv1d(3, 4, 2))}))
    model = jaxinit.equinox.init(WeightNormed, KEY)
    x = torch.randn(2, 3, 5)
    np.testing.assert_allclose(jax.vmap(model.conv)(array(x)), jax.vmap(model.conv.layer)(array(x)), atol=1e-5)
    model, _ = jaxinit.equinox.load(model, theirs.state_dict())
    np.testing.assert_allclose(jax.vmap(model.conv)(array(x)), theirs["conv"](x).detach(), rtol=0, atol=1e-5)
    state = jaxinit.equinox.state_dict(model, names=list(theirs.state_dict()))
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(state[name], tensor, strict=True)


@pytest.mark.parametrize("axis", [0, 1, None])
def test_a_scale_is_loaded_along_the_axis_that_it_has_in_torch(axis: int | None) -> None:
    """Equinox has the axes of outputs and inputs of a transposed convolution the other way round."""
    wrap: Any = torch.nn.utils.parametrizations.weight_norm
    x, dims = torch.randn(2, 4, 5), {0: 1, 1: 0, None: None}
    theirs: Any = filled(wrap(torch.nn.ConvTranspose1d(4, 4, 2), dim=dims[axis]))
    layer = eqx.nn.WeightNorm(eqx.nn.ConvTranspose1d(4, 4, 2, key=KEY), axis=axis)
    model, _ = jaxinit.equinox.load(layer, theirs.state_dict())
    np.testing.assert_allclose(jax.vmap(model)(array(x)), theirs(x).detach(), rtol=0, atol=1e-5)
    state = jaxinit.equinox.state_dict(model, names=list(theirs.state_dict()))
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(state[name], tensor, strict=True)
    other = wrap(torch.nn.ConvTranspose1d(4, 4, 2), dim=axis if axis is not None else 0)
    with pytest.raises(ValueError, match="weight_g must have shape"):
        jaxinit.equinox.load(layer, other.state_dict())


class SpectralNormed(eqx.Module):
    first: eqx.nn.SpectralNorm[eqx.nn.Linear]
    last: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.first = eqx.nn.SpectralNorm(eqx.nn.Linear(3, 4, key=key), "weight", key=key)
        self.last = eqx.nn.Linear(4, 2, key=key)


def torch_spectral(wrap: Any, dtype: torch.dtype = torch.float32) -> Any:
    first = wrap(torch.nn.Linear(3, 4, dtype=dtype))
    return torch.nn.ModuleDict({"first": first, "last": torch.nn.Linear(4, 2, dtype=dtype)})


@pytest.mark.parametrize("wrap", [torch.nn.utils.spectral_norm, torch.nn.utils.parametrizations.spectral_norm])
def test_spectral_norm(wrap: Any) -> None:
    theirs, x = torch_spectral(wrap), torch.randn(2, 3)
    for _ in range(15):  # the older function begins with vectors that are not singular
        theirs["first"](x)
    theirs.eval()
    model, _ = jaxinit.equinox.load(jaxinit.equinox.init(WITH_STATE(SpectralNormed), KEY), theirs.state_dict())
    layer, state = eqx.nn.inference_mode(model[0].first), model[1]
    y = jax.vmap(lambda one: layer(one, state)[0])(array(x))
    np.testing.assert_allclose(y, theirs["first"](x).detach(), rtol=0, atol=1e-5)
    back = jaxinit.equinox.state_dict(model, names=list(theirs.state_dict()))
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(back[name], tensor, strict=True, err_msg=name)


def spectral_transposed(key: jax.Array, groups: int = 1) -> Any:
    layer = eqx.nn.ConvTranspose2d(4, 6, (3, 2), groups=groups, key=key)
    return WITH_STATE(eqx.nn.SpectralNorm)(layer, "weight", key=key)


@as_on_avx2
@pytest.mark.parametrize("source", ["load", "init"])
def test_spectral_norm_of_a_transposed_convolution(source: str, seed: int) -> None:
    """torch has the kernel flipped, and so the entries of one vector in another order."""
    with jax.enable_x64(True):
        torch.manual_seed(seed)
        wrap: Any = torch.nn.utils.parametrizations.spectral_norm
        theirs = wrap(torch.nn.ConvTranspose2d(4, 6, (3, 2), dtype=torch.float64)).eval()
        if source == "load":
            model, _ = jaxinit.equinox.load(spectral_transposed(KEY), theirs.state_dict())
        else:
            model = jaxinit.equinox.init(spectral_transposed, TorchGenerator(seed))
        x = torch.randn(2, 4, 5, 5, dtype=torch.float64)
        np.testing.assert_allclose(evaluated(model, x), theirs(x).detach(), rtol=0, atol=ITERATED)
        back = jaxinit.equinox.state_dict(model, names=list(theirs.state_dict()))
        for name, tensor in theirs.state_dict().items():
            np.testing.assert_allclose(back[name], tensor, rtol=0, atol=ITERATED, strict=True, err_msg=name)


def test_torch_has_other_vectors_for_a_transposed_convolution_with_groups() -> None:
    message = r"`key` must be a JAX key for the model \(SpectralNorm\), got a TorchGenerator"
    with pytest.raises(ValueError, match=message):
        jaxinit.equinox.init(lambda key: spectral_transposed(key, groups=2), TorchGenerator(0))
    model, state = jaxinit.equinox.init(lambda key: spectral_transposed(key, groups=2), KEY)
    assert_iterated(np.asarray(model.layer.weight).reshape(6, -1), *state.get(model.uv_index))


def test_a_new_spectral_norm_has_the_vectors_of_its_weight() -> None:
    for key in (KEY, TorchGenerator(0)):
        model, state = jaxinit.equinox.init(WITH_STATE(SpectralNormed), key)
        u, v = state.get(model.first.uv_index)
        weight = np.asarray(model.first.layer.weight)
        assert_iterated(weight, u, v)


def assert_iterated(weight: np.ndarray, u: jax.Array, v: jax.Array) -> None:
    """The last power iteration makes v of u. How near both come to singular vectors depends on the draw."""
    found = weight.T @ np.asarray(u)
    np.testing.assert_allclose(v, found / np.linalg.norm(found), rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(u), 1, rtol=1e-5)


def test_each_layer_of_a_stack_has_vectors_and_statistics_of_its_own() -> None:
    keys = jax.random.split(KEY, 5)
    model, state = jaxinit.equinox.reset_parameters(eqx.filter_vmap(WITH_STATE(SpectralNormed))(keys), KEY)
    for u, v, weight in zip(*state.get(model.first.uv_index), model.first.layer.weight, strict=True):
        assert_iterated(np.asarray(weight), u, v)
    ensemble = eqx.filter_vmap(lambda _: batch_norm("batch"))(keys)
    theirs = torch.nn.ModuleList(filled(torch.nn.BatchNorm1d(6)) for _ in keys)
    ensemble, _ = jaxinit.equinox.load(ensemble, theirs.state_dict())
    x = torch.randn(8, 6, 5)
    with jax.numpy_dtype_promotion("standard"):  # BatchNorm raises its momentum to the count
        outputs = eqx.filter_vmap(lambda layer, state: evaluated((layer, state), x))(*ensemble)
    for own, layer in zip(outputs, theirs, strict=True):
        np.testing.assert_allclose(own, layer.eval()(x).detach(), rtol=0, atol=1e-5)


@as_on_avx2
def test_spectral_norm_is_torchs_from_torchs_seed(seed: int) -> None:
    with jax.enable_x64(True):
        model = jaxinit.equinox.init(WITH_STATE(SpectralNormed), generator := TorchGenerator(seed))
        expected = torch.manual_seed(seed)
        theirs = torch_spectral(torch.nn.utils.parametrizations.spectral_norm, torch.float64).state_dict()
        assert_same_state(generator, expected)
        state = jaxinit.equinox.state_dict(model, names=list(theirs))
    for name, tensor in theirs.items():
        atol = rounding_of_vectors(seed) if name.endswith(("_u", "_v")) else 0
        np.testing.assert_allclose(state[name], tensor, rtol=0, atol=atol, err_msg=name)


def rounding_of_vectors(seed: int) -> float:
    """Bound the rounding of 16 iterations, which is large if they begin all but orthogonal to the singular vector."""
    torch.manual_seed(seed)
    weight = torch.nn.Linear(3, 4, dtype=torch.float64).weight.detach()
    _, v = torch.randn(4, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    squared = weight.T @ weight
    squared /= torch.linalg.matrix_norm(squared, 2)
    lasting = torch.linalg.matrix_power(squared, 16) @ v / v.norm()
    return 32 * 8 * np.finfo(float).eps / float(lasting.norm())
