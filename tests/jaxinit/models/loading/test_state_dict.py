"""The way back: torch takes the weights of a Flax model, and computes what the Flax model computes."""

import copy
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
from flax import nnx

import jaxinit
from tests.jaxinit.models.loading.test_stacks import Net, TorchBlock
from tests.jaxinit.models.test_load_layers import CASES, CHANNELS_FIRST
from tests.jaxinit.models.test_load_recurrent import CELLS
from tests.jaxinit.models.torch_layers import APIS, RNGS, filled, gru_cell

pytestmark = pytest.mark.usefixtures("torch_seed")


def tensors(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Return the state of a torch module without the counters of BatchNorm."""
    return {name: np.asarray(tensor) for name, tensor in module.state_dict().items() if "num_batches" not in name}


def there_and_back(layer: Any, state: Any, *inputs: Any, **given: Any) -> dict[str, np.ndarray]:
    """Load a state into a Flax model of either API, and return the state of the model."""
    if isinstance(layer, nnx.Module):
        jaxinit.nnx.load(layer, state)
        return jaxinit.nnx.state_dict(layer, **given)
    empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(layer.init, RNGS.params(), *inputs))
    variables, _ = jaxinit.linen.load(layer, empty, state, *inputs)
    return jaxinit.linen.state_dict(layer, variables, *inputs, **given)


def assert_same(ours: Any, theirs: Any) -> None:
    assert ours.keys() == theirs.keys()
    for name in theirs:
        np.testing.assert_array_equal(ours[name], theirs[name], strict=True, err_msg=name)


def loaded(theirs: torch.nn.Module, state: dict[str, np.ndarray]) -> torch.nn.Module:
    """Return a copy of a torch module with other weights, and then those of the state."""
    other = filled(copy.deepcopy(theirs))
    other.load_state_dict({name: torch.from_numpy(array) for name, array in state.items()}, strict=True)
    return other


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("with_names", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_every_layer_goes_back(name: str, with_names: bool, api: str) -> None:
    case = CASES[name]()
    theirs = filled(case.torch).eval()
    x = torch.randint(0, 5, case.shape) if name.startswith("Embed") else torch.randn(case.shape)
    ours: Any = case.nnx(RNGS) if api == "nnx" else case.linen()
    inputs = np.moveaxis(x.numpy(), 1, -1) if name.startswith(CHANNELS_FIRST) else x.numpy()
    names = {"names": list(theirs.state_dict())} if with_names else {}
    state = there_and_back(ours, theirs.state_dict(), inputs, **names)
    assert_same(state, tensors(theirs))
    with torch.no_grad():
        np.testing.assert_array_equal(loaded(theirs, state)(x), theirs(x))


@pytest.mark.parametrize("with_names", [False, True])
@pytest.mark.parametrize(("kind", "cell", "stack"), CELLS)
def test_the_biases_of_a_recurrent_layer_go_back_as_their_sum(
    kind: str, cell: Any, stack: Any, with_names: bool
) -> None:
    theirs = getattr(torch.nn, kind)(3, 5, 2, bidirectional=True, batch_first=True)
    given = {f"rnn.{name}": tensor for name, tensor in tensors(theirs).items()}
    x = jnp.zeros((2, 4, 3))
    state = there_and_back(stack(cell), given, x, **({"names": given} if with_names else {}))
    assert state.keys() == given.keys()
    for name, own in state.items():
        if "bias_ih" in name:
            other = name.replace("bias_ih", "bias_hh")
            np.testing.assert_array_equal(own + state[other], given[name] + given[other], err_msg=name)
            if kind == "GRU":  # torch multiplies the last part of one of the two
                np.testing.assert_array_equal(own[10:], given[name][10:], err_msg=name)
        elif "weight" in name:
            np.testing.assert_array_equal(own, given[name], err_msg=name)
    if kind == "LSTM" and cell is not nnx.LSTMCell:
        assert not state["rnn.bias_hh_l0"].any()


def test_a_bias_that_flax_does_not_have_is_zero() -> None:
    state = jaxinit.nnx.state_dict(nnx.GRUCell(3, 5, rngs=RNGS))
    torch.nn.GRUCell(3, 5).load_state_dict({name: torch.from_numpy(array) for name, array in state.items()})
    assert not state["bias_hh"].any()
    theirs = torch.nn.GRUCell(3, 5)
    again = there_and_back(gru_cell(3, 5, rngs=RNGS), theirs.state_dict())
    np.testing.assert_array_equal(again["bias_hh"][10:], theirs.bias_hh.detach()[10:])


@pytest.mark.parametrize("sizes", [{}, {"kdim": 6, "vdim": 4}])
@pytest.mark.parametrize("api", APIS)
def test_attention(api: str, sizes: dict[str, Any]) -> None:
    theirs = filled(torch.nn.MultiheadAttention(8, 2, **sizes))
    if api == "nnx":
        if sizes:
            sizes = {"in_kv_features": 6}
            theirs = filled(torch.nn.MultiheadAttention(8, 2, kdim=6, vdim=6))
        ours: Any = nnx.MultiHeadAttention(2, 8, decode=False, rngs=RNGS, **sizes)
    else:
        ours = nn.MultiHeadDotProductAttention(2)
    x = [jnp.zeros((1, 3, size)) for size in (8, theirs.kdim or 8, theirs.vdim or 8)]
    assert_same(there_and_back(ours, theirs.state_dict(), *x), tensors(theirs))


NAMES = {
    "Llama": ("q_proj", "k_proj", "v_proj", "o_proj"),
    "Whisper": ("q_proj", "k_proj", "v_proj", "out_proj"),
    "ViT": ("attention.query", "attention.key", "attention.value", "output.dense"),
    "BERT": ("self.query", "self.key", "self.value", "output.dense"),
    "Flax": ("query", "key", "value", "out"),
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_four_linears(names: tuple[str, ...], api: str) -> None:
    state = {
        f"layer.{name}.{own}": tensor
        for name in names
        for own, tensor in tensors(filled(torch.nn.Linear(8, 8))).items()
    }
    x = jnp.ones((1, 3, 8))
    ours: Any = nnx.Dict(layer=nnx.MultiHeadAttention(2, 8, decode=False, rngs=RNGS)) if api == "nnx" else Named()
    assert_same(there_and_back(ours, state, x, names=state), state)
    assert there_and_back(ours, state, x).keys() == {
        f"layer.{name}" for name in ("in_proj_weight", "in_proj_bias", "out_proj.weight", "out_proj.bias")
    }


class Named(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y: jax.Array = nn.MultiHeadDotProductAttention(2, name="layer")(x)
        return y


class Separate(nnx.MultiHeadAttention):
    """Attention of four Linears in torch."""


def test_four_linears_with_defaults_of_their_own() -> None:
    jaxinit.nnx.register(Separate, lambda _: None)
    model = jaxinit.nnx.init(lambda rngs: Separate(2, 8, decode=False, rngs=rngs), nnx.Rngs(0))
    own = jaxinit.nnx.initializers(model)
    linear = jaxinit.nnx.initializers(nnx.LinearGeneral(8, (2, 4), rngs=RNGS))
    assert {name: own[f"query.{name}"] for name in linear} == linear
    bias: Any = nnx.state(model)["query"]["bias"]
    assert 0 < abs(bias[...]).max() <= 8**-0.5
    state = {
        f"{name}.{own}": tensor for name in NAMES["Llama"] for own, tensor in tensors(torch.nn.Linear(8, 8)).items()
    }
    assert_same(there_and_back(model, state, names=state), state)


def test_stacks_go_back_as_lists() -> None:
    theirs = torch.nn.ModuleDict(
        {"first": torch.nn.Linear(3, 8), "blocks": torch.nn.ModuleList([TorchBlock() for _ in range(3)])}
    )
    ours = Net()
    assert_same(there_and_back(ours, theirs.state_dict()), tensors(theirs))
    assert_same(there_and_back(ours, theirs.state_dict(), names=theirs.state_dict()), tensors(theirs))


@pytest.mark.parametrize("axis", [0, 1])
def test_a_linen_scan_goes_back_as_a_list(axis: int) -> None:
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return nn.Dense(4, name="fc")(x), None

    class Ours(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array) -> jax.Array:
            scan = nn.scan(Layer, variable_axes={"params": axis}, split_rngs={"params": True}, length=4)
            y: jax.Array = scan(name="blocks")(x, None)[0]
            return y

    blocks = torch.nn.ModuleList([torch.nn.ModuleDict({"fc": torch.nn.Linear(4, 4)}) for _ in range(4)])
    theirs = torch.nn.ModuleDict({"blocks": blocks})
    assert_same(there_and_back(Ours(), theirs.state_dict(), jnp.ones((1, 4))), tensors(theirs))


def test_shared_modules_and_buffers_and_own_parameters() -> None:
    class Buffer(nnx.Variable[Any]):
        pass

    class Ours(nnx.Module):
        def __init__(self) -> None:
            self.encoder = nnx.Linear(3, 3, rngs=RNGS)
            self.decoder = self.encoder
            self.codebook, self.token = Buffer(jnp.zeros((5, 3))), nnx.Param(jnp.zeros(3))
            self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))

    shared = torch.nn.Linear(3, 3)
    theirs = torch.nn.ModuleDict({"encoder": shared, "decoder": shared})
    theirs.register_buffer("codebook", torch.randn(5, 3))
    theirs.token = torch.nn.Parameter(torch.randn(3))
    assert_same(there_and_back(Ours(), theirs.state_dict()), tensors(theirs))
    names = [name for name in theirs.state_dict() if name != "codebook"]
    assert there_and_back(Ours(), theirs.state_dict(), names=names).keys() == set(names)


def test_rename_is_undone() -> None:
    theirs = {f"module.fc{i}.{name}": tensor for i in (1, 2) for name, tensor in tensors(torch.nn.Linear(3, 3)).items()}
    ours = nnx.Dict(head=nnx.Linear(3, 3, rngs=RNGS), body=nnx.Linear(3, 3, rngs=RNGS))
    rename = [("^module[.]", ""), ("^fc1", "body"), ("^fc2", "head")]
    jaxinit.nnx.load(ours, theirs, rename=rename)
    assert_same(jaxinit.nnx.state_dict(ours, names=theirs, rename=rename), theirs)
    with pytest.raises(
        ValueError, match=r"`names` must be given with `rename`, got names=None and .*\. Pass names=list"
    ):
        jaxinit.nnx.state_dict(ours, rename=rename)
    with pytest.raises(ValueError, match=r"got none of \['body\.bias', .*\], but of others \['module\.fc1\.bias'"):
        jaxinit.nnx.state_dict(ours, names=theirs)


def test_an_abstract_model_is_refused() -> None:
    with pytest.raises(TypeError, match="`model` must hold arrays, got an abstract Linear"):
        jaxinit.nnx.state_dict(nnx.eval_shape(lambda: nnx.Linear(2, 2, rngs=nnx.Rngs(0))))


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_a_file_of_safetensors(dtype: Any, tmp_path: Path) -> None:
    layer = nnx.Conv(3, 4, (2, 3), param_dtype=dtype, rngs=RNGS)
    state = jaxinit.nnx.state_dict(layer)
    safetensors.numpy.save_file(state, tmp_path / "model.safetensors")
    found = safetensors.torch.load_file(tmp_path / "model.safetensors")
    torch.nn.Conv2d(3, 4, (2, 3), dtype=found["weight"].dtype).load_state_dict(found)
    again = nnx.Conv(3, 4, (2, 3), param_dtype=dtype, rngs=nnx.Rngs(1))
    jaxinit.nnx.load(again, tmp_path / "model.safetensors")
    np.testing.assert_array_equal(again.kernel[...], layer.kernel[...])


def test_a_number_in_a_name_is_no_entry_of_a_list_in_nnx() -> None:
    """Linen names the entries of a list so, and NNX has lists. torch's names decide where they are known."""
    ours = nnx.Dict(
        ln_1=nnx.LayerNorm(3, rngs=RNGS), scale_2=nnx.Param(jnp.ones(2)), h=nnx.List([nnx.Param(jnp.ones(1))])
    )
    own = {"ln_1.weight", "ln_1.bias", "scale_2", "h.0"}
    state = jaxinit.nnx.state_dict(ours)
    assert state.keys() == own
    assert jaxinit.nnx.load(ours, state)["ln_1.scale"] == ("ln_1.weight",)
    listed = {name.replace("_", "."): array for name, array in state.items()}
    assert jaxinit.nnx.load(ours, listed)["ln_1.scale"] == ("ln.1.weight",)
    assert jaxinit.nnx.state_dict(ours, names=listed).keys() == listed.keys()
