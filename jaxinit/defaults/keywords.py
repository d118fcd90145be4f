"""What the functions of `jaxinit.defaults` return, key by key: a type checker knows them when they are unpacked."""

from typing import TypedDict

from jaxinit._initializers.base import Initializer


class Affine(TypedDict):
    """Keywords of Linear, Conv and ConvTranspose."""

    kernel_init: Initializer
    bias_init: Initializer


class Embedding(TypedDict):
    """Keywords of Embed."""

    embedding_init: Initializer


class Recurrent(TypedDict):
    """Keywords of recurrent cells."""

    kernel_init: Initializer
    recurrent_kernel_init: Initializer
    bias_init: Initializer


class Attention(TypedDict):
    """Keywords of MultiHeadAttention."""

    kernel_init: Initializer
    bias_init: Initializer
    out_kernel_init: Initializer
    out_bias_init: Initializer


class Scale(TypedDict):
    """Keywords of RMSNorm."""

    scale_init: Initializer


class Norm(Scale):
    """Keywords of other norms."""

    bias_init: Initializer


class Slope(TypedDict):
    """Keywords of PReLU."""

    negative_slope_init: float
