"""What the functions of `jaxinit.defaults` return, key by key: a type checker knows them when they are unpacked."""

from typing import TypedDict

from jaxinit._initializers.base import Initializer


class Affine(TypedDict):
    """Represent the keywords of Linear, Conv and ConvTranspose."""

    kernel_init: Initializer
    bias_init: Initializer


class Embedding(TypedDict):
    """Represent the keywords of Embed."""

    embedding_init: Initializer


class Recurrent(TypedDict):
    """Represent the keywords of recurrent cells."""

    kernel_init: Initializer
    recurrent_kernel_init: Initializer
    bias_init: Initializer


class Attention(TypedDict):
    """Represent the keywords of MultiHeadAttention."""

    kernel_init: Initializer
    bias_init: Initializer
    out_kernel_init: Initializer
    out_bias_init: Initializer


class Scale(TypedDict):
    """Represent the keywords of RMSNorm."""

    scale_init: Initializer


class Norm(Scale):
    """Represent the keywords of other norms."""

    bias_init: Initializer


class Slope(TypedDict):
    """Represent the keywords of PReLU."""

    negative_slope_init: float
