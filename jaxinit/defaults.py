"""torch's module defaults, biases included, as keyword arguments for the Flax layers that correspond to them.

    nnx.Linear(64, 256, **jaxinit.defaults.linear(64), rngs=rngs)

Each function is the `reset_parameters` of one torch module. It takes the sizes that torch's
formula needs. `jaxinit.nnx` and `jaxinit.linen` read the same sizes off a whole model.
"""

import math
from collections.abc import Iterable, Sequence

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, ones, uniform, zeros
from jaxinit._initializers.variance_scaling import kaiming_uniform, xavier_uniform
from jaxinit.composed import concatenated, sum_of_uniforms, with_zero_row
from jaxinit.layouts import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout

Keywords = dict[str, Initializer]


def linear(in_features: int, *, layout: Layout = FLAX) -> Keywords:
    """Return the initializers of torch.nn.Linear::

        weight, bias ~ U(-bound, bound),  bound = 1 / sqrt(in_features)

    Args:
        in_features: size of each input.
        layout: of the kernel.

    Returns:
        `kernel_init` and `bias_init`, for Flax's Linear, Dense and LinearGeneral.

    Raises:
        ValueError: `in_features` is negative.

    Example:
        >>> jaxinit.defaults.linear(64)["bias_init"]
        jaxinit.uniform(a=-0.125, b=0.125)

    Differs from Flax, whose kernels are lecun_normal and whose biases are zero.
    """
    return _fan_in(_size("in_features", in_features), layout)


def conv(in_channels: int, kernel_size: int | Sequence[int], groups: int = 1) -> Keywords:
    """Return the initializers of torch.nn.Conv1d to Conv3d::

        weight, bias ~ U(-bound, bound),  bound = 1 / sqrt(in_channels / groups * prod(kernel_size))

    Args:
        in_channels: channels of the input, of all groups.
        kernel_size: size along each spatial axis, or an integer for one axis.
        groups: Flax's `feature_group_count`.

    Returns:
        `kernel_init` and `bias_init`, for Flax's Conv.

    Raises:
        ValueError: a size is negative, or `groups` does not divide `in_channels`.

    Example:
        >>> jaxinit.defaults.conv(16, (2, 2))["bias_init"]
        jaxinit.uniform(a=-0.125, b=0.125)

    Differs from Flax, whose kernels are lecun_normal and whose biases are zero.
    """
    return _fan_in(_per_group("in_channels", in_channels, groups) * _taps(kernel_size), FLAX)


def conv_transpose(
    out_channels: int, kernel_size: int | Sequence[int], groups: int = 1, *, transpose_kernel: bool = False
) -> Keywords:
    """Return the initializers of torch.nn.ConvTranspose1d to ConvTranspose3d, whose fan_in counts the *outputs*::

        weight, bias ~ U(-bound, bound),  bound = 1 / sqrt(out_channels / groups * prod(kernel_size))

    Args:
        out_channels: channels of the output, of all groups.
        kernel_size: size along each spatial axis, or an integer for one axis.
        groups: of torch's convolution. Flax's has one group.
        transpose_kernel: as given to Flax's layer.

    Returns:
        `kernel_init` and `bias_init`, for Flax's ConvTranspose.

    Raises:
        ValueError: a size is negative, or `groups` does not divide `out_channels`.

    Example:
        >>> jaxinit.defaults.conv_transpose(16, (2, 2))["bias_init"]
        jaxinit.uniform(a=-0.125, b=0.125)

    Differs from Flax, whose kernels are lecun_normal and whose biases are zero.
    """
    fan_in = _per_group("out_channels", out_channels, groups) * _taps(kernel_size)
    return _fan_in(fan_in, FLAX if transpose_kernel else FLAX_CONV_TRANSPOSE)


def bilinear(in1_features: int) -> Keywords:
    """Return the initializers of torch.nn.Bilinear::

        weight, bias ~ U(-bound, bound),  bound = 1 / sqrt(in1_features)

    Args:
        in1_features: size of the first input.

    Returns:
        `kernel_init` and `bias_init`. Flax has no such layer, but an Einsum computes the same.

    Raises:
        ValueError: `in1_features` is negative.

    Example:
        >>> jaxinit.defaults.bilinear(64)["kernel_init"]
        jaxinit.uniform(a=-0.125, b=0.125)
    """
    own = _symmetric(_size("in1_features", in1_features))
    return {"kernel_init": own, "bias_init": own}


def embedding(padding_idx: int | None = None) -> Keywords:
    """Return the initializer of torch.nn.Embedding and EmbeddingBag::

        weight ~ N(0, 1),  weight[padding_idx] = 0

    Args:
        padding_idx: the row of zeros, or None for no such row.

    Returns:
        `embedding_init`, for Flax's Embed.

    Raises:
        TypeError: `padding_idx` is not an integer.

    Example:
        >>> jaxinit.defaults.embedding()
        {'embedding_init': jaxinit.normal(mean=0.0, std=1.0)}

    Differs from Flax, whose embeddings have std 1 / sqrt(features).
    """
    if padding_idx is None:
        return {"embedding_init": normal()}
    return {"embedding_init": with_zero_row(normal(), _arguments.integer("padding_idx", padding_idx))}


def rnn(hidden_size: int) -> Keywords:
    """Return the initializers of torch.nn.RNN and RNNCell::

        every weight and bias ~ U(-bound, bound),  bound = 1 / sqrt(hidden_size)

    Flax has one bias where torch adds two, so it is drawn as their sum.

    Args:
        hidden_size: size of the state.

    Returns:
        `kernel_init`, `recurrent_kernel_init` and `bias_init`, for Flax's SimpleCell.

    Raises:
        ValueError: `hidden_size` is negative.

    Example:
        >>> jaxinit.defaults.rnn(64)["bias_init"]
        jaxinit.composed.sum_of_uniforms(a=-0.125, b=0.125)

    Differs from Flax, whose kernels are lecun_normal and orthogonal and whose biases are zero.
    """
    own = _symmetric(_size("hidden_size", hidden_size))
    return {"kernel_init": own, "recurrent_kernel_init": own, "bias_init": sum_of_uniforms(own.a, own.b)}


def lstm(hidden_size: int) -> Keywords:
    """Return the initializers of torch.nn.LSTM and LSTMCell: those of `rnn`, for all four gates.

    Args:
        hidden_size: size of the state.

    Returns:
        `kernel_init`, `recurrent_kernel_init` and `bias_init`, for Flax's LSTMCell and OptimizedLSTMCell.

    Raises:
        ValueError: `hidden_size` is negative.

    Example:
        >>> jaxinit.defaults.lstm(64)["recurrent_kernel_init"]
        jaxinit.uniform(a=-0.125, b=0.125)
    """
    return rnn(hidden_size)


def gru(hidden_size: int) -> Keywords:
    """Return the initializers of torch.nn.GRU and GRUCell: those of `rnn`, except for the bias of the new state.

    There the reset gate multiplies torch's second bias, so Flax's one bias is torch's first.

    Args:
        hidden_size: size of the state.

    Returns:
        `kernel_init`, `recurrent_kernel_init` and `bias_init`, for NNX's GRUCell, whose bias
        holds all three gates. Linen's GRUCell has one `bias_init` for two distributions.
        There, use `jaxinit.linen`, which sets each bias.

    Raises:
        ValueError: `hidden_size` is negative.

    Example:
        >>> jaxinit.defaults.gru(64)["bias_init"](jax.random.key(0), (192,)).shape
        (192,)
    """
    own = rnn(hidden_size)
    return {**own, "bias_init": concatenated((own["bias_init"], own["bias_init"], own["kernel_init"]))}


def multihead_attention(embed_dim: int, kdim: int | None = None, vdim: int | None = None) -> Keywords:
    """Return the initializers of torch.nn.MultiheadAttention::

        in_proj_weight ~ U(-bound, bound),  bound = sqrt(6 / (embed_dim + 3 * embed_dim))
        out_proj.weight ~ U(-1 / sqrt(embed_dim), 1 / sqrt(embed_dim)),  biases 0

    torch packs query, key and value into one matrix, and takes the fans of the whole. With
    another `kdim` or `vdim`, each part has its own xavier_uniform. Flax's layers draw
    their kernels as matrices, with all heads on one axis.

    Args:
        embed_dim: size of the queries and of the output.
        kdim: size of the keys; `embed_dim` by default.
        vdim: size of the values; `embed_dim` by default.

    Returns:
        `kernel_init`, `bias_init`, `out_kernel_init` and `out_bias_init`, for NNX's
        MultiHeadAttention and Linen's MultiHeadDotProductAttention.

    Raises:
        ValueError: a size is negative.

    Example:
        >>> jaxinit.defaults.multihead_attention(150)["kernel_init"]
        jaxinit.uniform(a=-0.1, b=0.1)

    Differs from Flax, whose kernels are lecun_normal.
    """
    size = _size("embed_dim", embed_dim)
    others = [size if value is None else _size(name, value) for name, value in (("kdim", kdim), ("vdim", vdim))]
    kernel: Initializer = xavier_uniform()
    if others == [size, size]:
        low, high = xavier_uniform(layout=TORCH).distribution((3 * size, size)).support
        kernel = uniform(low, high)  # type: ignore[arg-type]  # only a constant's support is complex
    out = linear(size)["kernel_init"]
    return {"kernel_init": kernel, "bias_init": zeros(), "out_kernel_init": out, "out_bias_init": zeros()}


def batch_norm() -> Keywords:
    """Return the initializers of torch.nn.BatchNorm1d to BatchNorm3d: scale 1, bias 0.

    Returns:
        `scale_init` and `bias_init`, for Flax's BatchNorm. Its statistics start as torch's.

    Example:
        >>> jaxinit.defaults.batch_norm()
        {'scale_init': jaxinit.ones(), 'bias_init': jaxinit.zeros()}
    """
    return {"scale_init": ones(), "bias_init": zeros()}


def layer_norm() -> Keywords:
    """Return the initializers of torch.nn.LayerNorm: scale 1, bias 0.

    Returns:
        `scale_init` and `bias_init`, for Flax's LayerNorm.

    Example:
        >>> sorted(jaxinit.defaults.layer_norm())
        ['bias_init', 'scale_init']
    """
    return batch_norm()


def group_norm() -> Keywords:
    """Return the initializers of torch.nn.GroupNorm: scale 1, bias 0.

    Returns:
        `scale_init` and `bias_init`, for Flax's GroupNorm.

    Example:
        >>> sorted(jaxinit.defaults.group_norm())
        ['bias_init', 'scale_init']
    """
    return batch_norm()


def instance_norm() -> Keywords:
    """Return the initializers of torch.nn.InstanceNorm1d to InstanceNorm3d with `affine=True`: scale 1, bias 0.

    Returns:
        `scale_init` and `bias_init`, for Flax's InstanceNorm.

    Example:
        >>> sorted(jaxinit.defaults.instance_norm())
        ['bias_init', 'scale_init']
    """
    return batch_norm()


def rms_norm() -> Keywords:
    """Return the initializer of torch.nn.RMSNorm: scale 1.

    Returns:
        `scale_init`, for Flax's RMSNorm.

    Example:
        >>> jaxinit.defaults.rms_norm()
        {'scale_init': jaxinit.ones()}
    """
    return {"scale_init": ones()}


def prelu() -> dict[str, float]:
    """Return the initializer of torch.nn.PReLU: slope 0.25.

    Returns:
        `negative_slope_init`, a number, for Flax's PReLU.

    Example:
        >>> jaxinit.defaults.prelu()
        {'negative_slope_init': 0.25}

    Differs from Flax, whose slope is 0.01.
    """
    return {"negative_slope_init": 0.25}


def _fan_in(fan_in: int, layout: Layout) -> Keywords:
    return {"kernel_init": kaiming_uniform(a=math.sqrt(5), layout=layout), "bias_init": _symmetric(fan_in)}


def _symmetric(size: int) -> uniform:
    bound = 1 / math.sqrt(size) if size else 0.0
    return uniform(-bound, bound)


def _size(name: str, value: int) -> int:
    size = _arguments.integer(name, value)
    if size < 0:
        raise ValueError(f"`{name}` must be at least 0, got {size}")
    return size


def _per_group(name: str, channels: int, groups: int) -> int:
    channels, groups = _size(name, channels), _arguments.integer("groups", groups)
    if groups < 1 or channels % groups:
        raise ValueError(f"`groups` must be at least 1 and divide `{name}` {channels}, got {groups}")
    return channels // groups


def _taps(kernel_size: int | Sequence[int]) -> int:
    sizes = kernel_size if isinstance(kernel_size, Iterable) else [kernel_size]
    return math.prod(_size("kernel_size", size) for size in sizes)
