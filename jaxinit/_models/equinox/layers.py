"""The Equinox layers that correspond to torch's modules, and their rules.

Weights have torch's axes, except those of transposed convolutions. A layer may lack its weight: `eqx.nn.Shared`
takes one of two equal weights out of the model. So sizes are read off the layer where the weight could be missing.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx

from jaxinit import defaults
from jaxinit._initializers.elementwise import normal, ones, zeros
from jaxinit._models.correspondence import Block, Layer, Parameter, Shapes, Tensor
from jaxinit._models.equinox.groups import InGroups
from jaxinit._models.equinox.norms import vectors
from jaxinit._models.matching import Initializers, Rule
from jaxinit._models.rules import Rules
from jaxinit._models.torch_modules import affine, attention_draws, prelu, vector
from jaxinit.layouts import TORCH, Layout

TRANSPOSED = Layout(in_axis=0, out_axis=1)
"""Of a transposed convolution: torch has the axes of inputs and outputs the other way round."""


def _weight(path: str, tensor: str = "weight", **given: Any) -> Parameter:
    return Parameter(path, ((Block(tensor),),), **{"layout": TORCH, **given})


def linear(_: Shapes, layer: Any) -> Layer:
    """Match `weight` (out, in)."""
    features = 1 if layer.in_features == "scalar" else layer.in_features
    return affine("Linear", defaults.linear(features, layout=TORCH), _weight("weight"))


def conv(_: Shapes, layer: Any) -> Layer:
    """Match `weight` (out, in / groups, *kernel_size) and `bias` (out, 1, ...)."""
    own = defaults.conv(layer.in_channels, layer.kernel_size, layer.groups)
    return affine(f"Conv{layer.num_spatial_dims}d", own, _weight("weight"))


def conv_transpose(_: Shapes, layer: Any) -> Layer:
    """Match `weight` (out, in / groups, *kernel_size), which is torch's with two axes and the direction changed."""
    own = defaults.conv_transpose(layer.out_channels, layer.kernel_size, layer.groups)
    layout = TRANSPOSED if layer.groups == 1 else InGroups(groups=layer.groups)
    weight = _weight("weight", layout=layout, is_flipped=True)
    return affine(f"ConvTranspose{layer.num_spatial_dims}d", own, weight)


def embedding(*_: Any) -> Layer:
    """Match `weight` (num_embeddings, embedding_size)."""
    return Layer("Embedding", (Tensor("weight", defaults.embedding()["embedding_init"]),), (_weight("weight"),))


def _norm(torch: str, *statistics: str) -> Rule:
    """Match `weight`, `bias` and statistics. Only LayerNorm and RMSNorm normalize over several axes."""
    inits = {"weight": ones(), "bias": zeros(), "running_mean": zeros(), "running_var": ones()}
    names = ("weight", "bias", *statistics)
    keeps_axes = torch in ("LayerNorm", "RMSNorm")
    draws = tuple(Tensor(name, inits[name]) for name in names)
    layer = Layer(torch, draws, tuple(vector(name, name, keeps_axes) for name in names))
    return lambda *_: layer


PARTS = ("query_proj", "key_proj", "value_proj", "output_proj")


def attention(shapes: Shapes, layer: Any) -> Layer | None:
    """Match the weights (out, in) and biases of four Linears, if torch has attention of such sizes."""
    size, kdim, vdim = layer.query_size, layer.key_size, layer.value_size
    if not size == layer.output_size == layer.num_heads * layer.qk_size == layer.num_heads * layer.vo_size:
        return None
    *inputs, output = PARTS
    draws, blocks = attention_draws(size, kdim, vdim)
    parameters = (
        *(Parameter(f"{part}.weight", ((block,),), TORCH) for part, block in zip(inputs, blocks, strict=True)),
        *(Parameter(f"{part}.bias", ((Block("in_proj_bias", i),),)) for i, part in enumerate(inputs)),
        _weight(f"{output}.weight", "out_proj.weight"),
        vector(f"{output}.bias", "out_proj.bias"),
    )
    apart = {part: linear(shapes, getattr(layer, part)) for part in PARTS}  # Hugging Face has a Linear for each part
    advice = "Build the layer with use_query_bias=True, use_key_bias=True and use_value_bias=True"
    return Layer("MultiheadAttention", draws, parameters, (output,), apart, advice)


def _recurrent(torch: str, size: int, biases: tuple[Parameter, ...], gates: int = 1) -> Layer:
    own = defaults.rnn(size)["kernel_init"]
    draws = (
        Tensor("weight_ih", own),
        Tensor("weight_hh", own),
        *(Tensor(f"bias_{side}", own, gates) for side in ("ih", "hh")),
    )
    return Layer(torch, draws, (_weight("weight_ih", "weight_ih"), _weight("weight_hh", "weight_hh"), *biases))


def lstm(_: Shapes, layer: Any) -> Layer:
    """Match `weight_ih`, `weight_hh` and `bias`, the sum of torch's two."""
    return _recurrent("LSTM", layer.hidden_size, (Parameter("bias", ((Block("bias_ih"), Block("bias_hh")),)),))


def gru(_: Shapes, layer: Any) -> Layer:
    """Match `weight_ih`, `weight_hh`, and torch's two biases: `bias_n` is the one that the reset gate multiplies."""
    summed = [(Block("bias_ih", gate), Block("bias_hh", gate)) for gate in range(2)]
    bias = Parameter("bias", (*summed, (Block("bias_ih", 2),)))
    return _recurrent("GRU", layer.hidden_size, (bias, Parameter("bias_n", ((Block("bias_hh", 2),),))), gates=3)


@dataclasses.dataclass(frozen=True)
class Row:
    """Represent an Equinox layer, the torch modules that it corresponds to, and their rule."""

    torch: str
    equinox: str
    rule: Rule


ROWS = (
    Row("Linear", "Linear", linear),
    Row("Conv1d to Conv3d", "Conv", conv),
    Row("ConvTranspose1d to ConvTranspose3d", "ConvTranspose", conv_transpose),
    Row("Embedding, EmbeddingBag", "Embedding", embedding),
    Row("LSTM, LSTMCell", "LSTMCell", lstm),
    Row("GRU, GRUCell", "GRUCell", gru),
    Row("MultiheadAttention", "MultiheadAttention", attention),
    Row("BatchNorm1d to BatchNorm3d", "BatchNorm", _norm("BatchNorm", "running_mean", "running_var")),
    Row("LayerNorm", "LayerNorm", _norm("LayerNorm")),
    Row("GroupNorm, InstanceNorm1d to InstanceNorm3d", "GroupNorm", _norm("GroupNorm")),
    Row("RMSNorm", "RMSNorm", _norm("RMSNorm")),
    Row("PReLU", "PReLU", prelu),
)


def _spectral_norm(_: Shapes, layer: Any) -> Initializers:
    """Match the two singular vectors, as torch draws them before the power iterations."""
    return dict.fromkeys(vectors(layer), normal())


TABLE: dict[type, Rule] = {getattr(eqx.nn, row.equinox): row.rule for row in ROWS}
RULES = Rules("jaxinit.equinox", eqx.Module, "equinox.Module", {**TABLE, eqx.nn.SpectralNorm: _spectral_norm})


def built_shapes(layer: Any) -> Mapping[str, tuple[int, ...]]:
    """Return the shapes of a layer's arrays as it was built. A transform that stacks layers changes arrays alone."""
    match layer:
        case eqx.nn.Linear():
            into, out = (1 if size == "scalar" else size for size in (layer.in_features, layer.out_features))
            return {"weight": (out, into), "bias": (out,)}
        case eqx.nn.Conv() | eqx.nn.ConvTranspose():
            weight = (layer.out_channels, layer.in_channels // layer.groups, *layer.kernel_size)
            return {"weight": weight, "bias": (layer.out_channels, *[1] * layer.num_spatial_dims)}
        case eqx.nn.Embedding():
            return {"weight": (layer.num_embeddings, layer.embedding_size)}
        case eqx.nn.LSTMCell() | eqx.nn.GRUCell():
            size, gates = layer.hidden_size, 4 if isinstance(layer, eqx.nn.LSTMCell) else 3
            weights = {"weight_ih": (gates * size, layer.input_size), "weight_hh": (gates * size, size)}
            return {**weights, "bias": (gates * size,), "bias_n": (size,)}
        case eqx.nn.LayerNorm() | eqx.nn.RMSNorm():
            return dict.fromkeys(("weight", "bias"), layer.shape)
        case eqx.nn.GroupNorm():
            return dict.fromkeys(("weight", "bias"), (layer.channels or 0,))
        case eqx.nn.BatchNorm():
            return dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (layer.input_size,))
    return {}
