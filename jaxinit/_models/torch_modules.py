"""The table of modules: the Flax layers that correspond to each torch module, and their rules.

A rule reads all sizes off the shapes of a layer's parameters. So one rule serves NNX and Linen.
In a stack of layers these are the shapes of one layer.
"""

import dataclasses
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from jaxinit import defaults
from jaxinit._initializers.elementwise import constant, ones, zeros
from jaxinit._models.correspondence import Block, Layer, Parameter, Shapes, Tensor
from jaxinit.composed import with_zero_row
from jaxinit.defaults.keywords import Affine, Norm, Recurrent, Scale
from jaxinit.layouts import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout

Rule = Callable[[Shapes, Any], Layer | None]
"""From the shapes of a layer's parameters and the layer, or None if torch has no such module."""


def vector(path: str, tensor: str, keeps_axes: bool = False) -> Parameter:
    """Return a parameter that is one of torch's vectors."""
    return Parameter(path, ((Block(tensor),),), keeps_axes=keeps_axes)


def _weight(path: str, layout: Layout, tensor: str = "weight", is_flipped: bool = False) -> Parameter:
    return Parameter(path, ((Block(tensor),),), layout, is_flipped)


def affine(torch: str, own: Affine, kernel: Parameter) -> Layer:
    """Return the layer of a weight and a bias, which torch draws in this order."""
    draws = Tensor("weight", own["kernel_init"]), Tensor("bias", own["bias_init"])
    return Layer(torch, draws, (kernel, vector("bias", "bias")))


def linear(shapes: Shapes, _: Any) -> Layer:
    """Match `kernel` (in, out)."""
    features, _ = shapes["kernel"]
    return affine("Linear", defaults.linear(features), _weight("kernel", FLAX))


def _count(axes: Any) -> int:
    return 1 if isinstance(axes, int) else len(axes)


def linear_general(shapes: Shapes, layer: Any) -> Layer:
    """Match `kernel` (*in, *out), which is torch's Linear between flattened axes."""
    out = _count(layer.out_features if hasattr(layer, "out_features") else layer.features)
    ends = tuple(range(-out - _count(layer.axis), -out)), tuple(range(-out, 0))
    layout = Layout(*ends, batch_axis=tuple(range(len(shapes["kernel"]) - len(ends[0]) - out)))
    features = layout.torch_shape(shapes["kernel"])[-1]
    return affine("Linear", defaults.linear(features), _weight("kernel", layout))


def einsum(shapes: Shapes, layer: Any) -> Layer | None:
    """Match `kernel`, which is torch's Linear if the equation tells which of its axes are summed over.

    Axes that the input, the kernel and the output share stack independent weights.
    """
    equation = re.fullmatch(r"(.+),(\w+)->(.+)", (layer.einsum_str or "").replace(" ", ""))
    if equation is None:
        return None
    inputs, names, output = equation.groups()
    axes = {name: index - len(names) for index, name in enumerate(names)}
    into = tuple(axes[name] for name in inputs if name in axes and name not in output)
    out = tuple(axes[name] for name in output if name in axes and name not in inputs)
    if not into or not out or len(axes) < len(names) or set(names) - set(inputs) - set(output):
        return None
    rank = len(shapes["kernel"])
    own = tuple(axis for axis in range(rank) if axis - rank not in (*into, *out))
    layout = Layout(into, out, own)
    features = layout.torch_shape(shapes["kernel"])[-1]
    return affine("Linear", defaults.linear(features), _weight("kernel", layout))


def conv(shapes: Shapes, _: Any) -> Layer:
    """Match `kernel` (*spatial, in / groups, out)."""
    *spatial, features, _ = shapes["kernel"]
    return affine(f"Conv{len(spatial)}d", defaults.conv(features, spatial), _weight("kernel", FLAX))


def conv_transpose(shapes: Shapes, layer: Any) -> Layer:
    """Match `kernel` (*spatial, in, out), or (*spatial, out, in) in torch's direction with `transpose_kernel`."""
    spatial, is_torchs = shapes["kernel"][:-2], layer.transpose_kernel
    own = defaults.conv_transpose(shapes["kernel"][-2 if is_torchs else -1], spatial, transpose_kernel=is_torchs)
    kernel = _weight("kernel", FLAX if is_torchs else FLAX_CONV_TRANSPOSE, is_flipped=not is_torchs)
    return affine(f"ConvTranspose{len(spatial)}d", own, kernel)


def embed(_: Shapes, layer: Any) -> Layer:
    """Match `embedding` (num_embeddings, features). A row of zeros that a Linen layer was built with stays zero."""
    own = getattr(layer, "embedding_init", None)  # NNX's layer does not keep its initializer
    padded = own if isinstance(own, with_zero_row) else None
    draws = (Tensor("weight", padded or defaults.embedding()["embedding_init"]),)
    return Layer("Embedding", draws, (_weight("embedding", TORCH),))


def _norm(torch: str, own: Norm | Scale) -> Rule:
    """Match `scale`, `bias`, and running statistics if the layer keeps them.

    Only LayerNorm and RMSNorm normalize over several axes, and their vectors have these axes.
    """
    pairs = {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"}
    inits: dict[str, Any] = {"bias_init": zeros(), "mean_init": zeros(), "var_init": ones(), **own}
    draws = tuple(Tensor(tensor, inits[f"{path}_init"]) for path, tensor in pairs.items())
    keeps_axes = torch in ("LayerNorm", "RMSNorm")
    vectors = (dataclasses.replace(vector(*pair), keeps_axes=keeps_axes) for pair in pairs.items())
    layer = Layer(torch, draws, tuple(vectors))
    return lambda *_: layer


def prelu(_: Shapes, __: Any) -> Layer:
    """Match `negative_slope`, a scalar or one for each channel."""
    slope = constant(defaults.prelu()["negative_slope_init"])
    return Layer("PReLU", (Tensor("weight", slope),), (vector("negative_slope", "weight"),))


_PER_HEAD = Layout(in_axis=-3, out_axis=(-2, -1))
_FROM_HEADS = Layout(in_axis=(-3, -2), out_axis=-1)


def attention_draws(size: int, kdim: int, vdim: int) -> tuple[tuple[Tensor, ...], list[Block]]:
    """Return what torch's attention draws, and the blocks of it that query, key and value are.

    torch packs the three into one tensor if their inputs have the same size.
    """
    own = defaults.multihead_attention(size, kdim, vdim)
    is_packed = kdim == vdim == size
    blocks = [Block("in_proj_weight", i) if is_packed else Block(f"{part}_proj_weight") for i, part in enumerate("qkv")]
    weights = dict.fromkeys(block.tensor for block in blocks)
    draws = (
        Tensor("out_proj.weight", own["out_kernel_init"]),
        Tensor("out_proj.bias", defaults.linear(size)["bias_init"]),  # drawn as in any Linear, then set to 0
        *(Tensor(name, own["kernel_init"], len(blocks) // len(weights)) for name in weights),
        Tensor("in_proj_bias", own["bias_init"], 3),
        Tensor("out_proj.bias", own["out_bias_init"]),
    )
    return draws, blocks


def attention(shapes: Shapes, _: Any) -> Layer | None:
    """Match `query`, `key`, `value` (in, heads, head_dim) and `out` (heads, head_dim, out)."""
    size, heads, head_dim = shapes["query.kernel"]
    (kdim, *key), (vdim, *value) = (shapes[f"{part}.kernel"] for part in ("key", "value"))
    if not size == heads * head_dim == shapes["out.kernel"][-1] or not [heads, head_dim] == key == value:
        return None
    parts = "query", "key", "value"
    draws, blocks = attention_draws(size, kdim, vdim)
    parameters = (
        *(Parameter(f"{part}.kernel", ((block,),), _PER_HEAD) for part, block in zip(parts, blocks, strict=True)),
        *(Parameter(f"{part}.bias", ((Block("in_proj_bias", i),),)) for i, part in enumerate(parts)),
        _weight("out.kernel", _FROM_HEADS, "out_proj.weight"),
        vector("out.bias", "out_proj.bias"),
    )
    # Hugging Face has a Linear for each part.
    apart = {
        part: affine("Linear", defaults.linear(features), _weight("kernel", layout))
        for part, features, layout in zip(
            (*parts, "out"), (size, kdim, vdim, size), (_PER_HEAD, _PER_HEAD, _PER_HEAD, _FROM_HEADS), strict=True
        )
    }
    return Layer("MultiheadAttention", draws, parameters, ("out",), apart)


@dataclasses.dataclass(frozen=True)
class _Cell:
    """Represent the rule of a recurrent cell, with layers for the input and for the state: one for each gate, or one
    for all.
    """

    torch: str
    gates: int
    own: Callable[[int], Recurrent]
    inputs: tuple[str, ...]
    states: tuple[str, ...]

    def __call__(self, shapes: Shapes, _: Any) -> Layer:
        own = self.own(shapes[f"{self.states[0]}.kernel"][-2])
        draws = (
            Tensor("weight_ih", own["kernel_init"], self.gates),
            Tensor("weight_hh", own["recurrent_kernel_init"], self.gates),
            Tensor("bias_ih", own["kernel_init"], self.gates),
            Tensor("bias_hh", own["kernel_init"], self.gates),
        )
        parts = (*self._parts("ih", self.inputs, shapes), *self._parts("hh", self.states, shapes))
        return Layer(self.torch, draws, parts, advice="Add one: cell.dense_h = nnx.Linear(n, 3 * n, rngs=rngs)")

    def _parts(self, side: str, names: tuple[str, ...], shapes: Shapes) -> Iterator[Parameter]:
        """Yield the kernels and biases of the layers for the input (`ih`) or for the state (`hh`)."""
        share = self.gates // len(names)
        for first, name in zip(range(0, self.gates, share), names, strict=True):
            gates = range(first, first + share)
            yield Parameter(f"{name}.kernel", tuple((Block(f"weight_{side}", gate),) for gate in gates), FLAX)
            yield Parameter(f"{name}.bias", tuple(self._bias(side, gate, shapes) for gate in gates))

    def _bias(self, side: str, gate: int, shapes: Shapes) -> tuple[Block, ...]:
        """Return the biases of torch's that are summed in one of Flax's.

        torch has a bias for the input and one for the state, which are added in most gates. The new
        state of a GRU (gate 2) multiplies one of them by the reset gate before.
        """
        others = self.states if side == "ih" else self.inputs
        other = others[gate * len(others) // self.gates]
        is_alone = f"{other}.bias" in shapes or (self.torch == "GRU" and gate == 2)
        return (Block(f"bias_{side}", gate),) if is_alone else (Block("bias_ih", gate), Block("bias_hh", gate))


class Row(NamedTuple):
    """Represent a torch module, the names of the Flax layers that correspond to it in NNX and in Linen, and their
    rule.
    """

    torch: str
    nnx: str
    linen: str
    rule: Rule


_FUSED = ("dense_i",), ("dense_h",)
_LSTM = ("ii", "if", "ig", "io"), ("hi", "hf", "hg", "ho")

_NORMS = (
    ("BatchNorm1d to BatchNorm3d", "BatchNorm", defaults.batch_norm()),
    ("LayerNorm", "LayerNorm", defaults.layer_norm()),
    ("GroupNorm", "GroupNorm", defaults.group_norm()),
    ("InstanceNorm1d to InstanceNorm3d", "InstanceNorm", defaults.instance_norm()),
    ("RMSNorm", "RMSNorm", defaults.rms_norm()),
)

TABLE = (
    Row("Linear", "Linear", "Dense", linear),
    Row("Linear", "LinearGeneral", "DenseGeneral", linear_general),
    Row("Linear", "Einsum", "Einsum", einsum),
    Row("Conv1d to Conv3d", "Conv", "Conv", conv),
    Row("ConvTranspose1d to ConvTranspose3d", "ConvTranspose", "ConvTranspose", conv_transpose),
    Row("Embedding, EmbeddingBag", "Embed", "Embed", embed),
    Row("RNN, RNNCell", "SimpleCell", "", _Cell("RNN", 1, defaults.rnn, *_FUSED)),
    Row("RNN, RNNCell", "", "SimpleCell", _Cell("RNN", 1, defaults.rnn, ("i",), ("h",))),
    Row("LSTM, LSTMCell", "OptimizedLSTMCell", "", _Cell("LSTM", 4, defaults.lstm, *_FUSED)),
    Row("LSTM, LSTMCell", "LSTMCell", "", _Cell("LSTM", 4, defaults.lstm, ("ii", "if_", "ig", "io"), _LSTM[1])),
    Row("LSTM, LSTMCell", "", "OptimizedLSTMCell", _Cell("LSTM", 4, defaults.lstm, *_LSTM)),
    Row("LSTM, LSTMCell", "", "LSTMCell", _Cell("LSTM", 4, defaults.lstm, *_LSTM)),
    Row("GRU, GRUCell", "GRUCell", "", _Cell("GRU", 3, defaults.gru, *_FUSED)),
    Row("GRU, GRUCell", "", "GRUCell", _Cell("GRU", 3, defaults.gru, ("ir", "iz", "in"), ("hr", "hz", "hn"))),
    Row("MultiheadAttention", "MultiHeadAttention", "MultiHeadDotProductAttention", attention),
    *(Row(torch, name, name, _norm(name, own)) for torch, name, own in _NORMS),
    Row("PReLU", "PReLU", "PReLU", prelu),
)
