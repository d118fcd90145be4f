"""Whole NNX models from a TorchGenerator: what torch's constructors draw after `torch.manual_seed`."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

import jaxinit
from jaxinit import TorchGenerator
from jaxinit_conformance.modules.pairs import transformer
from tests.jaxinit.models.nnx.test_models import arrays
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

pytestmark = as_on_avx2
Build = Callable[[nnx.Rngs], Any]


def assert_torchs(model: Any, build: Build, state: dict[str, torch.Tensor]) -> None:
    """The model holds what `load` puts there from torch's state."""
    loaded = nnx.eval_shape(lambda: build(nnx.Rngs(1)))
    jaxinit.nnx.load(loaded, {name: np.asarray(tensor) for name, tensor in state.items()})
    ours, theirs = arrays(model), arrays(loaded)
    assert ours.keys() == theirs.keys()
    for path in ours:
        np.testing.assert_array_equal(ours[path], theirs[path], strict=True, err_msg=path)


class Net(nnx.Module):
    """A layer of each kind."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.stem = nnx.Conv(3, 8, (3, 3), rngs=rngs)
        self.norm = nnx.BatchNorm(8, rngs=rngs)
        self.up = nnx.ConvTranspose(8, 6, (2, 3), transpose_kernel=True, rngs=rngs)
        self.table = nnx.Embed(11, 12, rngs=rngs)
        self.packed = nnx.MultiHeadAttention(3, 12, decode=False, rngs=rngs)
        self.apart = nnx.MultiHeadAttention(3, 12, in_kv_features=5, decode=False, rngs=rngs)
        self.mlp = nnx.Sequential(nnx.Linear(12, 7, rngs=rngs), nnx.relu, nnx.Linear(7, 12, rngs=rngs))
        self.act = nnx.PReLU()
        self.lstm = nnx.List([both_ways(nnx.OptimizedLSTMCell, into, rngs) for into in (12, 10)])
        self.rnn = nnx.List([nnx.RNN(nnx.SimpleCell(into, 5, rngs=rngs), rngs=rngs) for into in (10, 5)])
        self.gru = both_ways(gru_cell, 5, rngs)
        self.blocks = nnx.List([nnx.Linear(10, 10, use_bias=False, rngs=rngs) for _ in range(11)])
        self.head = nnx.Linear(10, 4, rngs=rngs)


def both_ways(cell: Any, into: int, rngs: nnx.Rngs) -> Any:
    return nnx.Bidirectional(*(nnx.RNN(cell(into, 5, rngs=rngs), rngs=rngs) for _ in range(2)), rngs=rngs)


def gru_cell(into: int, state: int, rngs: nnx.Rngs) -> Any:
    """With torch's second bias of the new state."""
    cell = nnx.GRUCell(into, state, rngs=rngs)
    cell.dense_h = nnx.Linear(state, 3 * state, rngs=rngs)
    return cell


class TorchNet(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = torch.nn.Conv2d(3, 8, 3)
        self.norm = torch.nn.BatchNorm2d(8)
        self.up = torch.nn.ConvTranspose2d(8, 6, (2, 3))
        self.table = torch.nn.Embedding(11, 12)
        self.packed = torch.nn.MultiheadAttention(12, 3)
        self.apart = torch.nn.MultiheadAttention(12, 3, kdim=5, vdim=5)
        self.mlp = torch.nn.Sequential(torch.nn.Linear(12, 7), torch.nn.ReLU(), torch.nn.Linear(7, 12))
        self.act = torch.nn.PReLU()
        self.lstm = torch.nn.LSTM(12, 5, 2, bidirectional=True)
        self.rnn = torch.nn.RNN(10, 5, 2)
        self.gru = torch.nn.GRU(5, 5, bidirectional=True)
        self.blocks = torch.nn.ModuleList(torch.nn.Linear(10, 10, bias=False) for _ in range(11))
        self.head = torch.nn.Linear(10, 4)


def test_a_layer_of_each_kind(seed: int) -> None:
    theirs, state = torch.manual_seed(seed), TorchNet().state_dict()
    drawn, filled = Net(nnx.Rngs(0)), nnx.eval_shape(lambda: Net(nnx.Rngs(0)))
    first, second, third = (TorchGenerator(seed) for _ in range(3))
    jaxinit.nnx.reset_parameters(drawn, first)
    jaxinit.nnx.reset_parameters(filled, third, order=state)
    for model, generator in ((drawn, first), (jaxinit.nnx.init(Net, second), second), (filled, third)):
        assert_same_state(generator, theirs)
        assert_torchs(model, Net, state)


def test_a_model_in_another_order(seed: int) -> None:
    class Reversed(nnx.Module):
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.head = nnx.Linear(4, 3, rngs=rngs)
            self.body = nnx.List([nnx.Linear(4, 4, rngs=rngs) for _ in range(2)])

    torch.manual_seed(seed)
    body = torch.nn.ModuleList(torch.nn.Linear(4, 4) for _ in range(2))
    theirs = torch.nn.ModuleDict({"body": body, "head": torch.nn.Linear(4, 3)}).state_dict()
    orders: list[Iterable[str]] = [theirs, ["body.0", "body.1", "head"], iter([*theirs])]
    for order in orders:
        model = jaxinit.nnx.init(Reversed, TorchGenerator(seed), order=order)
        assert_torchs(model, Reversed, theirs)
    other = jaxinit.nnx.init(Reversed, TorchGenerator(seed))
    assert (np.asarray(other.head.kernel[...]) != np.asarray(model.head.kernel[...])).any()


def test_layers_that_torch_copies_are_drawn_as_one(seed: int) -> None:
    """nn.Transformer copies one layer of each side, and draws its matrices anew at the end."""
    size, heads, inner = transformer.SIZE, transformer.HEADS, transformer.INNER
    theirs = torch.manual_seed(seed)
    module = torch.nn.Transformer(size, heads, 2, 2, inner, batch_first=True)

    class Transformer(nnx.Module):
        def __init__(self, rngs: nnx.Rngs, layers: int = 2) -> None:
            self.encoder = Stack(transformer.FlaxEncoderLayer, layers, rngs)
            self.decoder = Stack(transformer.FlaxDecoderLayer, layers, rngs)

    class Stack(nnx.Module):
        def __init__(self, layer: Any, layers: int, rngs: nnx.Rngs) -> None:
            self.layers = nnx.List([layer(rngs) for _ in range(layers)])
            self.norm = nnx.LayerNorm(size, rngs=rngs)

    model, generator = Transformer(nnx.Rngs(0)), TorchGenerator(seed)
    one = jaxinit.nnx.init(lambda rngs: Transformer(rngs, 1), generator)
    for stack, drawn in ((model.encoder, one.encoder), (model.decoder, one.decoder)):
        for layer in stack.layers:
            nnx.update(layer, nnx.state(drawn.layers[0]))
    jaxinit.nnx.apply(model, matrices_of_transformer, generator)
    assert_same_state(generator, theirs)
    assert_torchs(model, Transformer, module.state_dict())


def matrices_of_transformer(module: Any) -> dict[str, jaxinit.Initializer] | None:
    """Packed query, key and value have three times the outputs."""
    if isinstance(module, nnx.MultiHeadAttention):
        inward, out = jaxinit.Layout(-3, (-2, -1)), jaxinit.Layout((-3, -2), -1)
        packed = jaxinit.xavier_uniform(0.5**0.5, layout=inward)
        parts = dict.fromkeys(("query.kernel", "key.kernel", "value.kernel"), packed)
        return {**parts, "out.kernel": jaxinit.xavier_uniform(layout=out)}
    return {"kernel": jaxinit.xavier_uniform()} if type(module) is nnx.Linear else None


def test_dtype_sharding_and_sharing_are_kept(seed: int) -> None:
    sharding = jax.sharding.NamedSharding(jax.make_mesh((8,), ("x",)), jax.sharding.PartitionSpec("x"))
    model = nnx.Sequential(linear := nnx.Linear(16, 8, param_dtype=jnp.bfloat16, rngs=nnx.Rngs(0)), linear)
    nnx.update(linear, {"kernel": jax.device_put(linear.kernel[...], sharding)})
    jaxinit.nnx.reset_parameters(model, generator := TorchGenerator(seed))
    assert linear.kernel[...].sharding.is_equivalent_to(sharding, 2)
    theirs = torch.manual_seed(seed)
    expected = torch.nn.Linear(16, 8, dtype=torch.bfloat16)
    np.testing.assert_array_equal(
        np.asarray(linear.kernel[...]).astype(np.float32).T, expected.weight.detach().float().numpy()
    )
    assert_same_state(generator, theirs)


class Own(nnx.Module):
    """Its method comes after those of the modules in it, as torch's do that call it last."""

    def __init__(self, rngs: nnx.Rngs) -> None:
        self.project, self.scale = nnx.Linear(3, 5, rngs=rngs), nnx.Param(jnp.zeros(6))

    def reset_parameters(self, source: Any) -> None:
        assert isinstance(source, TorchGenerator)
        self.scale[...] = jaxinit.normal(1.0, 0.1)(source, (6,))


def test_a_method_of_its_own_goes_on_with_the_generator(seed: int) -> None:
    for build in (lambda generator: jaxinit.nnx.init(Own, generator), reset_own):
        model = build(TorchGenerator(seed))
        torch.manual_seed(seed)
        expected = torch.nn.Linear(3, 5).weight.detach().numpy(), torch.empty(6).normal_(1.0, 0.1).numpy()
        np.testing.assert_array_equal(model.project.kernel[...].T, expected[0])
        np.testing.assert_allclose(model.scale[...], expected[1], rtol=0, atol=2.0**-22)


def reset_own(generator: TorchGenerator) -> Own:
    model = Own(nnx.Rngs(0))
    jaxinit.nnx.reset_parameters(model, generator)
    return model


class Named(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        self.parts = nnx.data({name: nnx.Linear(2, 2, rngs=rngs) for name in ("second", "first")})


def test_dicts_are_drawn_in_the_order_in_which_they_were_made(seed: int) -> None:
    torch.manual_seed(seed)
    theirs = [torch.nn.Linear(2, 2) for _ in range(2)]
    for model in (Named(nnx.Rngs(0)), jaxinit.nnx.init(Named, TorchGenerator(seed))):
        jaxinit.nnx.reset_parameters(model, TorchGenerator(seed))
        for name, layer in zip(("second", "first"), theirs, strict=True):
            np.testing.assert_array_equal(model.parts[name].kernel[...].T, layer.weight.detach())


def test_a_stack_is_drawn_layer_by_layer() -> None:
    def build(rngs: nnx.Rngs) -> Any:
        def block(rngs: nnx.Rngs) -> nnx.Sequential:
            return nnx.Sequential(nnx.Linear(4, 6, rngs=rngs), nnx.Linear(6, 4, rngs=rngs))

        return nnx.Dict(blocks=nnx.split_rngs(splits=3)(nnx.vmap(block, in_axes=0, out_axes=1))(rngs))

    torch.manual_seed(5)
    layers = [torch.nn.Sequential(torch.nn.Linear(4, 6), torch.nn.Linear(6, 4)) for _ in range(3)]
    state = torch.nn.ModuleDict({"blocks": torch.nn.ModuleList(layers)}).state_dict()
    assert_torchs(jaxinit.nnx.init(build, TorchGenerator(5), order=list(state)), build, state)
