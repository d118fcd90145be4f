"""How initial weights shrink with depth and width: the rules that papers name.

Each rule takes an initializer and returns one, or returns the numbers of its paper.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from jaxinit import _arguments
from jaxinit._initializers.base import Elementwise, Initializer, WithLayout, require_initializer
from jaxinit._initializers.derived import Derived
from jaxinit.distributions import Distribution, affine
from jaxinit.layouts import FLAX, View

Init = TypeVar("Init", Elementwise, Initializer)


def gpt2_residual(init: Init, layers: int) -> Init:
    """Return the initializer of the weights at the end of each residual branch of GPT-2::

        x = init(...) / sqrt(2 * layers)

    A layer has two residual branches, attention and MLP. The sum of all of them then has the variance of one.

    Args:
        init: the initializer of the other weights, `jaxinit.normal(std=0.02)` in GPT-2.
        layers: the number of layers of the model.

    Returns:
        The initializer for the output projections of attention and MLP, both named `c_proj` in GPT-2.

    Raises:
        TypeError: `init` is not an initializer of jaxinit, or `layers` not an integer.
        ValueError: `layers` is less than 1.

    Example:
        >>> init = jaxinit.scaling.gpt2_residual(jaxinit.normal(std=0.02), layers=8)
        >>> init
        jaxinit.normal(mean=0.0, std=0.02) / 4.0
        >>> init.distribution((768, 768))
        Normal(mean=0.0, std=0.005)

    Source: Radford et al., Language Models are Unsupervised Multitask Learners, 2019, section 2.3.
    """
    require_initializer("init", init)
    return init / math.sqrt(2 * _arguments.size("layers", layers, least=1))


def fixup(init: Init, branches: int, layers: int) -> Init:
    """Return the initializer of the weights in the residual branches of a network without normalization::

        x = init(...) * branches ** (-1 / (2 * layers - 2))

    Fixup also starts the last layer of each branch and the classifier at `jaxinit.zeros()`. It adds scalar biases of 0,
    and gives each branch a scalar multiplier of 1.

    Args:
        init: an initializer for networks without residual branches, such as
            `jaxinit.kaiming_normal(nonlinearity="relu")`.
        branches: the number of residual branches of the model, L in the paper.
        layers: the number of weight layers in each branch, m in the paper.

    Returns:
        The initializer for the layers of the branches but the last ones.

    Raises:
        TypeError: `init` is not an initializer of jaxinit, or `branches` or `layers` not an integer.
        ValueError: `branches` is less than 1, or `layers` less than 2.

    Example:
        >>> init = jaxinit.scaling.fixup(jaxinit.kaiming_normal(nonlinearity="relu"), branches=16, layers=2)
        >>> init
        0.25 * jaxinit.kaiming_normal(a=0.0, mode='fan_in', nonlinearity='relu')

    Source: Zhang et al., Fixup Initialization, 2019, https://arxiv.org/abs/1901.09321, section 3.
    """
    require_initializer("init", init)
    branches, layers = _arguments.size("branches", branches, least=1), _arguments.size("layers", layers, least=2)
    return init * math.pow(branches, -1 / (2 * layers - 2))


def deepnorm(layers: int) -> tuple[float, float]:
    """Return alpha and beta of DeepNorm for an encoder or a decoder alone, as in BERT or GPT::

        alpha = (2 * layers) ** (1 / 4)
        beta  = (8 * layers) ** (-1 / 4)

    The residual is `norm(alpha * x + branch(x))`. The weights of the MLP and of attention's value and output
    projections are drawn from `jaxinit.xavier_normal(gain=beta)`, and those of query and key from
    `jaxinit.xavier_normal()`.

    Args:
        layers: the number of layers of the model.

    Returns:
        `(alpha, beta)`.

    Raises:
        TypeError: `layers` is not an integer.
        ValueError: `layers` is less than 1.

    Example:
        >>> alpha, beta = jaxinit.scaling.deepnorm(layers=32)
        >>> round(alpha, 3), beta
        (2.828, 0.25)
        >>> jaxinit.xavier_normal(gain=beta)
        jaxinit.xavier_normal(gain=0.25)

    Source: Wang et al., DeepNet: Scaling Transformers to 1,000 Layers, 2022, https://arxiv.org/abs/2203.00555,
    figure 2.
    """
    layers = _arguments.size("layers", layers, least=1)
    return math.pow(2 * layers, 1 / 4), math.pow(8 * layers, -1 / 4)


def deepnorm_encoder_decoder(
    encoder_layers: int, decoder_layers: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return alpha and beta of DeepNorm for an encoder and its decoder, as in T5::

        encoder:  alpha = 0.81 * (N**4 * M) ** (1 / 16),  beta = 0.87 * (N**4 * M) ** (-1 / 16)
        decoder:  alpha = (3 * M) ** (1 / 4),             beta = (12 * M) ** (-1 / 4)

    N is `encoder_layers` and M is `decoder_layers`. `deepnorm` says where alpha and beta belong.

    Args:
        encoder_layers: the number of layers of the encoder.
        decoder_layers: the number of layers of the decoder.

    Returns:
        `(alpha, beta)` of the encoder and `(alpha, beta)` of the decoder.

    Raises:
        TypeError: a number of layers is not an integer.
        ValueError: a number of layers is less than 1.

    Example:
        >>> encoder, decoder = jaxinit.scaling.deepnorm_encoder_decoder(6, 6)
        >>> [round(number, 3) for number in (*encoder, *decoder)]
        [1.418, 0.497, 2.06, 0.343]

    Source: Wang et al., 2022, https://arxiv.org/abs/2203.00555, figure 2.
    """
    n = _arguments.size("encoder_layers", encoder_layers, least=1)
    m = _arguments.size("decoder_layers", decoder_layers, least=1)
    both = math.pow(n**4 * m, 1 / 16)
    return (0.81 * both, 0.87 / both), (math.pow(3 * m, 1 / 4), math.pow(12 * m, -1 / 4))


class mup(Derived):
    """Draw with the variance that muP gives to a weight of another width than that of a base model::

        x ~ init.distribution(base_shape) * factor

        factor = sqrt(base_fan_in / fan_in)   hidden weights: both fans differ from those of base_shape
        factor = 1                            input and output weights: one of them differs

    Tuned for the base model, `init` is then right at every width. muP also divides the output by the width, and the
    learning rates of Adam for hidden weights.

    Args:
        init: draws the weights of the base model. It has a `distribution`.
        base_shape: the shape of this weight in the base model. Axes that stack weights may be left out.
        layout: which axes of your array are torch's, by default those of `init`.
        dtype: dtype when the call names none.

    Raises:
        TypeError: `init` has no `distribution`, or `base_shape` is not a sequence of integers.
        ValueError: `base_shape` has a size of 0, or a shape differs from it in other axes than inputs and outputs.

    Example:
        >>> hidden = jaxinit.scaling.mup(jaxinit.normal(std=0.02), base_shape=(256, 1024))
        >>> hidden.distribution((1024, 4096)).std
        0.01
        >>> readout = jaxinit.scaling.mup(jaxinit.kaiming_normal(nonlinearity="linear"), base_shape=(256, 10))
        >>> readout.distribution((1024, 10)).std == readout.distribution((256, 10)).std
        True

    Source: Yang et al., Tensor Programs V, 2022, https://arxiv.org/abs/2203.03466, table 8.
    Differs from the package `mup`, where a second model marks the axes that grow.
    """

    base_shape: Sequence[int]
    _namespace: ClassVar[str] = "jaxinit.scaling"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._canonical(base_shape=_arguments.dimensions(self.base_shape))
        if 0 in self.base_shape:
            raise ValueError(f"`base_shape` must not have a size of 0, got {self.base_shape}")
        if self.layout.batch_axis == ():
            self.layout.view(tuple(self.base_shape))  # which refuses what has too few axes

    def _base(self, own: View) -> View:
        """Return the weight of the base model, with axes of size 1 where `own` stacks weights and it does not."""
        shape = list(self.base_shape)
        if len(shape) == len(own.shape) - len(own.roles.batch):
            for axis in sorted(own.roles.batch):
                shape.insert(axis, 1)
        base: View = self.layout.view(tuple(shape))
        return base

    def _distribution(self, view: View) -> Distribution:
        own = self.layout.view(view.shape)
        base = self._base(own)
        if own.weight[2:] != base.weight[2:]:
            raise ValueError(
                f"`shape` must have the spatial sizes of `base_shape` {self.base_shape} for {self.layout}, "
                f"got {own.shape}"
            )
        is_hidden = own.weight[0] != base.weight[0] and own.weight[1] != base.weight[1]
        ratio = base.fan_in / own.fan_in if is_hidden and own.fan_in else 1.0
        return affine(self.init._distribution(self.init.view(base.shape)), math.sqrt(ratio))

    def _is_printed(self, field: "dataclasses.Field[Any]") -> bool:
        is_own = field.name == "layout" and not isinstance(self.init, WithLayout) and self.layout != FLAX
        return is_own or super()._is_printed(field)
