"""The defaults of torch's recurrent modules."""

from jaxinit import _arguments
from jaxinit.composed import concatenated, sum_of_uniforms
from jaxinit.defaults.keywords import Recurrent
from jaxinit.defaults.layers import symmetric


def rnn(hidden_size: int) -> Recurrent:
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
    own = symmetric(_arguments.size("hidden_size", hidden_size))
    return {"kernel_init": own, "recurrent_kernel_init": own, "bias_init": sum_of_uniforms(own.a, own.b)}


def lstm(hidden_size: int) -> Recurrent:
    """Return the initializers of torch.nn.LSTM and LSTMCell, for all four gates::

        every weight and bias ~ U(-bound, bound),  bound = 1 / sqrt(hidden_size)

    Flax has one bias where torch adds two, so it is drawn as their sum.

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


def gru(hidden_size: int) -> Recurrent:
    """Return the initializers of torch.nn.GRU and GRUCell::

        every weight and bias ~ U(-bound, bound),  bound = 1 / sqrt(hidden_size)

    Flax has one bias where torch adds two, so it is drawn as their sum. In the new state, the
    reset gate multiplies torch's second bias. There Flax's one bias is torch's first.

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
    own["bias_init"] = concatenated((own["bias_init"], own["bias_init"], own["kernel_init"]))
    return own
