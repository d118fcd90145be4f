"""torch's module defaults, biases included, as keyword arguments for the Flax layers that correspond to them.

    nnx.Linear(64, 256, **jaxinit.defaults.linear(64), rngs=rngs)

Each function is the `reset_parameters` of one torch module. It takes the sizes that torch's
formula needs. `jaxinit.nnx` and `jaxinit.linen` read the same sizes off a whole model.
"""

from jaxinit.defaults.layers import bilinear, conv, conv_transpose, embedding, linear, multihead_attention
from jaxinit.defaults.norms import batch_norm, group_norm, instance_norm, layer_norm, prelu, rms_norm
from jaxinit.defaults.recurrent import gru, lstm, rnn

__all__ = [
    "batch_norm",
    "bilinear",
    "conv",
    "conv_transpose",
    "embedding",
    "group_norm",
    "gru",
    "instance_norm",
    "layer_norm",
    "linear",
    "lstm",
    "multihead_attention",
    "prelu",
    "rms_norm",
    "rnn",
]
