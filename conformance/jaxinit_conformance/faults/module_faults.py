"""Mistakes about torch's modules and their parameters."""

import jaxinit

from .fault import Fault, ModuleFault
from .module_mistakes import (
    by_its_own_size,
    drawn,
    gates_exchanged,
    loaded,
    one_uniform,
    only,
    scaled,
    stated,
    without_flip,
)

FAULTS: tuple[Fault, ...] = (
    ModuleFault(
        "bias by the fan_in of the wrong axis",
        "nn.Linear",
        "shape|bounds|support",
        drawn(only("bias", by_its_own_size)),
    ),
    ModuleFault(
        "groups forgotten in fan_in",
        "nn.Conv2d",
        "shape|bounds|support",
        drawn(only("kernel", scaled(0.5))),
    ),
    ModuleFault(
        "transposed convolution's fan_in 'corrected'",
        "nn.ConvTranspose2d",
        "shape|bounds|support",
        drawn(only("kernel", lambda _: jaxinit.kaiming_uniform(5**0.5, layout=jaxinit.FLAX))),
    ),
    ModuleFault(
        "scaled by 1 / sqrt(features)",
        "nn.Embedding",
        "shape|scale",
        drawn(only("embedding", scaled(24**-0.5))),
    ),
    ModuleFault(
        "one uniform for the sum of two biases",
        "nn.LSTM",
        "shape",
        drawn(only("bias", one_uniform)),
    ),
    ModuleFault(
        "packed query, key and value taken for one",
        "nn.MultiheadAttention",
        "distribution",
        stated(only("query.kernel", lambda _: jaxinit.xavier_uniform(layout=jaxinit.Layout(-3, (-2, -1))))),
    ),
    ModuleFault(
        "uniform bias of out_proj kept",
        "nn.MultiheadAttention",
        "distribution",
        stated(only("out.bias", lambda _: jaxinit.defaults.linear(48)["bias_init"])),
    ),
    ModuleFault(
        "bias of the new state summed",
        "nn.GRU",
        "distribution",
        stated(only("dense_i.bias", lambda init: jaxinit.composed.sum_of_uniforms(init.a, init.b))),
    ),
    ModuleFault("kernel not flipped", "nn.ConvTranspose2d", "forward", loaded(without_flip)),
    ModuleFault("gates in another order", "nn.LSTM", "forward", loaded(gates_exchanged)),
    ModuleFault(
        "running variance taken for the mean",
        "nn.BatchNorm2d",
        "constants",
        drawn(only("var", lambda _: jaxinit.zeros())),
    ),
)
