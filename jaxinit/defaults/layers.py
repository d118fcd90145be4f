"""The defaults of torch's linear layers, convolutions, embeddings and attention."""

import math
from collections.abc import Iterable, Sequence

from jaxinit import _arguments
from jaxinit._initializers.base import Initializer
from jaxinit._initializers.elementwise import normal, uniform, zeros
from jaxinit._initializers.variance_scaling import kaiming_uniform, xavier_uniform
from jaxinit.composed import with_zero_row
from jaxinit.defaults.keywords import Affine, Attention, Embedding
from jaxinit.layouts import FLAX, FLAX_CONV_TRANSPOSE, TORCH, Layout


def linear(in_features: int, *, layout: Layout | str = FLAX) -> Affine:
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
    return _fan_in(_arguments.size("in_features", in_features), layout)


def conv(in_channels: int, kernel_size: int | Sequence[int], groups: int = 1) -> Affine:
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
) -> Affine:
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


def bilinear(in1_features: int) -> Affine:
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
    own = symmetric(_arguments.size("in1_features", in1_features))
    return {"kernel_init": own, "bias_init": own}


def embedding(padding_idx: int | None = None) -> Embedding:
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


def multihead_attention(embed_dim: int, kdim: int | None = None, vdim: int | None = None) -> Attention:
    """Return the initializers of torch.nn.MultiheadAttention::

        in_proj_weight ~ U(-bound, bound),  bound = sqrt(6 / (embed_dim + 3 * embed_dim))
        out_proj.weight ~ U(-1 / sqrt(embed_dim), 1 / sqrt(embed_dim)),  biases 0

    torch packs query, key and value into one matrix, and takes the fans of the whole. With
    another `kdim` or `vdim`, each part has its own xavier_uniform. Flax's layers draw
    their kernels as matrices, with all heads on one axis.

    Args:
        embed_dim: size of the queries and of the output.
        kdim: size of the keys, `embed_dim` by default.
        vdim: size of the values, `embed_dim` by default.

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
    size = _arguments.size("embed_dim", embed_dim)
    others = [
        size if value is None else _arguments.size(name, value) for name, value in (("kdim", kdim), ("vdim", vdim))
    ]
    kernel: Initializer = xavier_uniform()
    if others == [size, size]:
        low, high = xavier_uniform(layout=TORCH).distribution((3 * size, size)).support
        kernel = uniform(low, high)  # type: ignore[arg-type]  # only a constant's support is complex
    out = linear(size)["kernel_init"]
    return {"kernel_init": kernel, "bias_init": zeros(), "out_kernel_init": out, "out_bias_init": zeros()}


def symmetric(size: int) -> uniform:
    """Return the uniform initializer of a bound 1 / sqrt(size)."""
    bound = 1 / math.sqrt(size) if size else 0.0
    return uniform(-bound, bound)


def _fan_in(fan_in: int, layout: Layout | str) -> Affine:
    return {"kernel_init": kaiming_uniform(a=math.sqrt(5), layout=layout), "bias_init": symmetric(fan_in)}


def _per_group(name: str, channels: int, groups: int) -> int:
    channels, groups = _arguments.size(name, channels), _arguments.integer("groups", groups)
    if groups < 1 or channels % groups:
        raise ValueError(f"`groups` must be at least 1 and divide `{name}` {channels}, got {groups}")
    return channels // groups


def _taps(kernel_size: int | Sequence[int]) -> int:
    sizes = kernel_size if isinstance(kernel_size, Iterable) else [kernel_size]
    return math.prod(_arguments.size("kernel_size", size) for size in sizes)
