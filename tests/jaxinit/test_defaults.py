"""torch's defaults, layer by layer, against torch's own modules.

What a torch module draws is recorded from the calls that it makes on its tensors while it
is built, so bounds and standard deviations are compared exactly.
"""

import dataclasses
import pickle
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit
from jaxinit import TORCH, defaults
from jaxinit._initializers.base import Elementwise
from jaxinit.composed import concatenated, sum_of_uniforms, with_zero_row
from jaxinit_conformance.reference import torch_modules

NAMES = defaults.__all__
KEY = jax.random.key(0)
Shape = tuple[int, ...]
Wanted = dict[str, tuple[Shape, str]]
"""For each keyword, the shape of an array here, and the names of torch's tensors."""


@dataclasses.dataclass(frozen=True)
class Case:
    """A call of a function, and the torch module that it speaks of."""

    name: str
    arguments: tuple[Any, ...]
    torch: Callable[[], torch.nn.Module]
    wanted: Wanted
    keywords: dict[str, Any] = dataclasses.field(default_factory=dict)

    def inits(self) -> dict[str, Any]:
        made: dict[str, Any] = getattr(defaults, self.name)(*self.arguments, **self.keywords)
        return made

    def __str__(self) -> str:
        given = [*map(repr, self.arguments), *(f"{name}={value!r}" for name, value in self.keywords.items())]
        return f"{self.name}({', '.join(given)})"


def affine(kernel: Shape, bias: int) -> Wanted:
    return {"kernel_init": (kernel, "weight"), "bias_init": ((bias,), "bias")}


def convolutions() -> Iterator[Case]:
    for axes, sizes in ((1, (5,)), (2, (5, 3)), (3, (5, 3, 2))):
        for groups in (1, 2):
            build = partial(getattr(torch.nn, f"Conv{axes}d"), 12, 32, sizes, groups=groups)
            yield Case("conv", (12, sizes, groups), build, affine((*sizes, 12 // groups, 32), 32))
            build = partial(getattr(torch.nn, f"ConvTranspose{axes}d"), 12, 32, sizes, groups=groups)
            own = affine((*sizes, 12, 32 // groups), 32)
            yield Case("conv_transpose", (32, sizes, groups), build, own)
            own = affine((*sizes, 32 // groups, 12), 32)
            yield Case("conv_transpose", (32, sizes, groups), build, own, {"transpose_kernel": True})
    yield Case("conv", (12, 5), partial(torch.nn.Conv1d, 12, 32, 5), affine((5, 12, 32), 32))
    yield Case("conv", (12, np.array([5, 3])), partial(torch.nn.Conv2d, 12, 32, (5, 3)), affine((5, 3, 12, 32), 32))


def cells() -> Iterator[Case]:
    for kind, gates in (("RNN", 1), ("LSTM", 4), ("GRU", 3)):
        for suffix, ending in (("", "_l0"), ("Cell", "")):
            wanted = {
                "kernel_init": ((24, 40 * gates), f"weight_ih{ending}"),
                "recurrent_kernel_init": ((40, 40 * gates), f"weight_hh{ending}"),
                "bias_init": ((40 * gates,), f"bias_ih{ending} bias_hh{ending}"),
            }
            yield Case(kind.lower(), (40,), partial(getattr(torch.nn, kind + suffix), 24, 40), wanted)


def attention() -> Iterator[Case]:
    """With the weights packed into one, and with one each."""
    wanted = {
        "bias_init": ((48,), "in_proj_bias"),
        "out_kernel_init": ((48, 48), "out_proj.weight"),
        "out_bias_init": ((48,), "out_proj.bias"),
    }
    packed = partial(torch.nn.MultiheadAttention, 48, 6)
    for arguments in ((48,), (48, 48), (48, None, 48)):
        kernel = {"kernel_init": ((48, 48), "in_proj_weight")}
        yield Case("multihead_attention", arguments, packed, {**kernel, **wanted})
    apart = partial(torch.nn.MultiheadAttention, 48, 6, kdim=30, vdim=36)
    for part, size in (("q", 48), ("k", 30), ("v", 36)):
        kernel = {"kernel_init": ((size, 48), f"{part}_proj_weight")}
        yield Case("multihead_attention", (48, 30, 36), apart, {**kernel, **wanted})


def norms() -> Iterator[Case]:
    wanted: Wanted = {"scale_init": ((24,), "weight"), "bias_init": ((24,), "bias")}
    yield Case("batch_norm", (), partial(torch.nn.BatchNorm2d, 24), wanted)
    yield Case("layer_norm", (), partial(torch.nn.LayerNorm, 24), wanted)
    yield Case("group_norm", (), partial(torch.nn.GroupNorm, 4, 24), wanted)
    yield Case("instance_norm", (), partial(torch.nn.InstanceNorm1d, 24, affine=True), wanted)
    yield Case("rms_norm", (), partial(torch.nn.RMSNorm, 24), {"scale_init": wanted["scale_init"]})


TABLE: Wanted = {"embedding_init": ((50, 8), "weight")}
CASES = [
    Case("linear", (24,), partial(torch.nn.Linear, 24, 32), affine((24, 32), 32)),
    Case("linear", (24,), partial(torch.nn.Linear, 24, 32), affine((32, 24), 32), {"layout": TORCH}),
    *convolutions(),
    Case("bilinear", (24,), partial(torch.nn.Bilinear, 24, 30, 32), affine((32, 24, 30), 32)),
    Case("embedding", (), partial(torch.nn.Embedding, 50, 8), TABLE),
    Case("embedding", (3,), partial(torch.nn.Embedding, 50, 8, padding_idx=3), TABLE),
    Case("embedding", (-1,), partial(torch.nn.EmbeddingBag, 50, 8, padding_idx=-1), TABLE),
    *cells(),
    *attention(),
    *norms(),
    Case("prelu", (), torch.nn.PReLU, {"negative_slope_init": ((), "weight")}),
]
each_case = pytest.mark.parametrize("case", CASES, ids=str)


def test_every_function_has_a_case() -> None:
    assert {case.name for case in CASES} == set(NAMES)


def numbers(init: Elementwise, shape: Shape) -> tuple[str, float, float]:
    """The kind of a distribution, and the two numbers that torch's call has."""
    distribution: Any = init.distribution(shape)
    if distribution.kind == "uniform":
        return ("uniform", *distribution.support)
    return distribution.kind, distribution.mean, distribution.std


def torchs_numbers(recorded: torch_modules.Recorded) -> tuple[str, float, float]:
    expected = recorded.expected
    if expected.kind == "uniform":
        return "uniform", expected.low, expected.high
    return expected.kind, expected.loc, expected.scale


def assert_is_torchs(init: Any, shape: Shape, tensors: list[torch_modules.Recorded]) -> None:
    match init:
        case sum_of_uniforms(a=a, b=b):
            assert [torchs_numbers(tensor) for tensor in tensors] == [("uniform", a, b)] * 2
            assert init.distribution(shape).support == (2 * a, 2 * b)
        case concatenated(inits=(reset, update, new)):  # of a GRU, whose new state has torch's first bias alone
            assert reset == update
            assert_is_torchs(update, shape, tensors)
            assert_is_torchs(new, shape, tensors[:1])
        case with_zero_row(init=own, row=row):
            assert_is_torchs(own, shape, tensors)
            (exception,) = tensors[0].exceptions
            assert (exception.operation, exception.arguments) == ("fill_", (0.0,))
            assert (exception.start, exception.size) == (row % shape[0] * shape[1], shape[1])
        case float():
            assert ("constant", init, 0.0) == torchs_numbers(tensors[0])
        case _:
            assert numbers(init, shape) == torchs_numbers(tensors[0])


@each_case
def test_distributions_are_torchs_to_the_last_bit(case: Case) -> None:
    _, recorded = torch_modules.record(case.torch)
    inits = case.inits()
    assert set(inits) == set(case.wanted)
    for keyword, (shape, names) in case.wanted.items():
        assert_is_torchs(inits[keyword], shape, [recorded[name] for name in names.split()])


@each_case
def test_every_initializer_is_a_value(case: Case) -> None:
    for keyword, init in case.inits().items():
        assert init == case.inits()[keyword]
        assert pickle.loads(pickle.dumps(init)) == init
        assert eval(repr(init), {"jaxinit": jaxinit}) == init


FIRST = {case.name: case for case in reversed(CASES) if case.name != "prelu"}


@pytest.mark.parametrize("name", FIRST)
def test_compiled_draws_are_equal_bit_for_bit(name: str, seed: int) -> None:
    key = jax.random.key(seed)
    for keyword, init in FIRST[name].inits().items():
        shape, _ = FIRST[name].wanted[keyword]
        drawn, compiled = init(key, shape), jax.jit(partial(init, shape=shape))(key)
        assert drawn.shape == shape
        assert np.asarray(drawn).tobytes() == np.asarray(compiled).tobytes()


# In Flax's layers.

NNX: list[tuple[str, tuple[Any, ...], Callable[..., nnx.Module]]] = [
    ("linear", (24,), partial(nnx.Linear, 24, 32)),
    ("linear", (24,), partial(nnx.LinearGeneral, 24, (4, 8))),
    ("conv", (12, (5, 3), 2), partial(nnx.Conv, 12, 32, (5, 3), feature_group_count=2)),
    ("conv_transpose", (32, (5, 3)), partial(nnx.ConvTranspose, 12, 32, (5, 3))),
    ("embedding", (), partial(nnx.Embed, 50, 8)),
    ("rnn", (40,), partial(nnx.SimpleCell, 24, 40)),
    ("lstm", (40,), partial(nnx.LSTMCell, 24, 40)),
    ("lstm", (40,), partial(nnx.OptimizedLSTMCell, 24, 40)),
    ("gru", (40,), partial(nnx.GRUCell, 24, 40)),
    ("multihead_attention", (48,), partial(nnx.MultiHeadAttention, 6, 48, decode=False)),
    ("multihead_attention", (48, 30, 30), partial(nnx.MultiHeadAttention, 6, 48, in_kv_features=30, decode=False)),
    ("batch_norm", (), partial(nnx.BatchNorm, 24)),
    ("layer_norm", (), partial(nnx.LayerNorm, 24)),
    ("group_norm", (), partial(nnx.GroupNorm, 24, 4)),
    ("instance_norm", (), partial(nnx.InstanceNorm, 24)),
    ("rms_norm", (), partial(nnx.RMSNorm, 24)),
    ("prelu", (), lambda rngs, **keywords: nnx.PReLU(**keywords)),
]

ROW, IMAGE = jnp.zeros((1, 24)), jnp.zeros((1, 8, 8, 12))
LINEN: list[tuple[str, tuple[Any, ...], Callable[..., Any], tuple[Any, ...]]] = [
    ("linear", (24,), partial(flax.linen.Dense, 32), (ROW,)),
    ("conv", (12, (5, 3)), partial(flax.linen.Conv, 32, (5, 3)), (IMAGE,)),
    ("conv_transpose", (32, (5, 3)), partial(flax.linen.ConvTranspose, 32, (5, 3)), (IMAGE,)),
    ("embedding", (3,), partial(flax.linen.Embed, 50, 8), (jnp.zeros(1, jnp.int32),)),
    ("rnn", (40,), partial(flax.linen.SimpleCell, 40), (jnp.zeros((1, 40)), ROW)),
    ("lstm", (40,), partial(flax.linen.OptimizedLSTMCell, 40), ((jnp.zeros((1, 40)),) * 2, ROW)),
    ("multihead_attention", (24,), partial(flax.linen.MultiHeadDotProductAttention, 6), (ROW[None],)),
    ("batch_norm", (), partial(flax.linen.BatchNorm, use_running_average=True), (ROW,)),
    ("layer_norm", (), flax.linen.LayerNorm, (ROW,)),
    ("group_norm", (), partial(flax.linen.GroupNorm, 4), (ROW,)),
    ("instance_norm", (), flax.linen.InstanceNorm, (ROW[None],)),
    ("rms_norm", (), flax.linen.RMSNorm, (ROW,)),
    ("prelu", (), flax.linen.PReLU, (ROW,)),
]


def test_every_function_serves_a_layer() -> None:
    assert {name for name, *_ in NNX} == set(NAMES) - {"bilinear"}
    assert {name for name, *_ in LINEN} == set(NAMES) - {"bilinear", "gru"}


def keyword_of(path: str) -> str:
    """The keyword of Flax's layers for a parameter."""
    layer, _, name = path.rpartition(".")
    prefix = "out_" if layer == "out" else "recurrent_" * (name == "kernel" and layer.startswith(("dense_h", "h")))
    return f"{prefix}{name}_init"


@dataclasses.dataclass
class Witness:
    """An initializer that notes for which shapes it was called."""

    init: Any
    shapes: set[Shape] = dataclasses.field(default_factory=set)

    def __call__(self, key: jax.Array, shape: Shape, dtype: Any = None) -> jax.Array:
        self.shapes.add(tuple(shape))
        drawn: jax.Array = self.init(key, shape, dtype)
        return drawn


def watched(inits: dict[str, Any]) -> dict[str, Any]:
    return {name: init if isinstance(init, float) else Witness(init) for name, init in inits.items()}


@pytest.mark.parametrize(("name", "arguments", "build"), NNX)
def test_nnx_layers_draw_what_the_table_of_modules_says(name: str, arguments: Any, build: Any, seed: int) -> None:
    inits = watched(getattr(defaults, name)(*arguments))
    layer = build(rngs=nnx.Rngs(seed), **inits)
    of_the_table = jaxinit.nnx.initializers(layer)
    state: Any = nnx.state(layer, nnx.Param)
    arrays = {".".join(map(str, path)): jax.tree.leaves(leaf)[0] for path, leaf in nnx.to_flat_state(state)}
    assert {keyword_of(path) for path in arrays} == set(inits)
    for path, array in arrays.items():
        given, own = inits[keyword_of(path)], of_the_table[path]
        if isinstance(given, float):
            assert array == given
        elif isinstance(given.init, Elementwise):
            drawn = {given.init.distribution(shape) for shape in given.shapes if np.prod(shape) == array.size}
            assert isinstance(own, Elementwise)
            assert drawn == {own.distribution(array.shape)}
        else:
            assert given.init == own


@pytest.mark.parametrize(("name", "arguments", "build", "inputs"), LINEN)
def test_linen_layers_take_them(name: str, arguments: tuple[Any, ...], build: Any, inputs: Any, seed: int) -> None:
    inits = watched(getattr(defaults, name)(*arguments))
    params = build(**inits).init(jax.random.key(seed), *inputs)["params"]
    for path, array in jax.tree_util.tree_flatten_with_path(params)[0]:
        given = inits[keyword_of(".".join(part.key for part in path))]
        if isinstance(given, float):
            assert array == given
        elif isinstance(given.init, Elementwise):
            ends: Any = [given.init.distribution(shape).support for shape in given.shapes]
            assert (array >= min(low for low, _ in ends)).all()
            assert (array <= max(high for _, high in ends)).all()
        else:
            assert not array[given.init.row].any()


# Arguments.

UNTYPED: Any = defaults


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: UNTYPED.linear(-1), ValueError, "`in_features` must be at least 0, got -1"),
        (lambda: UNTYPED.linear(2.0), TypeError, "`in_features` must be an integer, got 2.0"),
        (lambda: UNTYPED.linear(True), TypeError, "`in_features` must be an integer, got True"),
        (lambda: UNTYPED.linear(2, layout=1), TypeError, "`layout` must be a jaxinit.Layout"),
        (lambda: UNTYPED.conv(-4, 3), ValueError, "`in_channels` must be at least 0, got -4"),
        (lambda: UNTYPED.conv(4, 3.0), TypeError, "`kernel_size` must be an integer, got 3.0"),
        (lambda: UNTYPED.conv(4, (3, -1)), ValueError, "`kernel_size` must be at least 0, got -1"),
        (lambda: UNTYPED.conv(4, "33"), TypeError, "`kernel_size` must be an integer, got '3'"),
        (lambda: UNTYPED.conv(4, 3, 3), ValueError, "`groups` must be at least 1 and divide `in_channels` 4, got 3"),
        (lambda: UNTYPED.conv(4, 3, 0), ValueError, "`groups` must be at least 1 and divide `in_channels` 4, got 0"),
        (lambda: UNTYPED.conv(4, 3, 1.0), TypeError, "`groups` must be an integer, got 1.0"),
        (lambda: UNTYPED.conv_transpose(4, 3, 3), ValueError, "`groups` must .* divide `out_channels` 4, got 3"),
        (lambda: UNTYPED.conv_transpose(-4, 3), ValueError, "`out_channels` must be at least 0, got -4"),
        (lambda: UNTYPED.bilinear(-1), ValueError, "`in1_features` must be at least 0, got -1"),
        (lambda: UNTYPED.embedding(0.0), TypeError, "`padding_idx` must be an integer, got 0.0"),
        (lambda: UNTYPED.rnn(-1), ValueError, "`hidden_size` must be at least 0, got -1"),
        (lambda: UNTYPED.lstm(None), TypeError, "`hidden_size` must be an integer, got None"),
        (lambda: UNTYPED.gru(-1), ValueError, "`hidden_size` must be at least 0, got -1"),
        (lambda: UNTYPED.multihead_attention(-1), ValueError, "`embed_dim` must be at least 0, got -1"),
        (lambda: UNTYPED.multihead_attention(8, -1), ValueError, "`kdim` must be at least 0, got -1"),
        (lambda: UNTYPED.multihead_attention(8, 8, 0.5), TypeError, "`vdim` must be an integer, got 0.5"),
    ],
)
def test_arguments_are_checked(call: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_no_inputs_give_a_bias_of_zero() -> None:
    """As in torch, whose bound is then 0."""
    for inits in (defaults.linear(0), defaults.conv(0, 3), defaults.rnn(0)):
        assert not inits["bias_init"](KEY, (4,)).any()


def test_the_padding_is_counted_from_the_end_as_in_torch() -> None:
    drawn = defaults.embedding(-1)["embedding_init"](KEY, (50, 8))
    assert not drawn[-1].any()
    assert drawn[:-1].all()
