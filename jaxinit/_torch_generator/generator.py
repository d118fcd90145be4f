"""The class `TorchGenerator`: torch's CPU generator, without torch."""

import secrets
from collections.abc import Sequence
from typing import Any, Self

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike

from jaxinit import _arguments
from jaxinit._sampling import dtypes
from jaxinit._torch_generator import aligned, normal, trunc_normal, uniform
from jaxinit._torch_generator.mt19937 import Mersenne
from jaxinit._torch_generator.source import SequentialSource
from jaxinit.distributions import Normal, Random, TruncatedNormal, Uniform

_SEEDS = -(2**63), 2**64 - 1

# From here on torch takes two words a step.
_MOST_PERMUTED = (2**32 - 1) // 20


class TorchGenerator(SequentialSource):
    """Draw the numbers that torch draws on a CPU from the same seed, to the bit::

        word = MT19937(seed),  uniform = (word mod 2**24) / 2**24,  normal = sqrt(-2 log(1 - u)) cos(2 pi v)

    Each method is one call of torch, and takes from the stream what that call takes. A large
    array is drawn in several threads. Its numbers do not depend on how many.

    Args:
        seed: from -2**63 to 2**64 - 1, as in `torch.manual_seed`. A negative seed counts back from 2**64.

    Raises:
        TypeError: `seed` is not an integer.
        ValueError: `seed` does not fit in 64 bits.

    Example:
        >>> generator = jaxinit.TorchGenerator(0)
        >>> generator.uniform(0, 1, (3,))  # torch.manual_seed(0); torch.rand(3)
        array([0.4962566 , 0.7682218 , 0.08847743], dtype=float32)
        >>> generator.randperm(5)
        array([0, 4, 2, 1, 3])

    Differs from torch's generator in what it refuses: some bounds, deviations and dtypes that
    torch refuses later or not at all. The numbers are those of torch on x86 processors with
    AVX2 or AVX-512. On other processors, and on GPUs, torch itself draws other numbers.
    """

    def __init__(self, seed: int) -> None:
        self.manual_seed(seed)

    @classmethod
    def from_state(cls, state: Any) -> Self:
        """Return a generator that goes on where the one with this state stopped.

        Args:
            state: what `get_state` returned, here or of a `torch.Generator`.

        Raises:
            TypeError: `state` is not an array of uint8.
            ValueError: `state` is not that of a CPU generator.

        Example:
            >>> first = jaxinit.TorchGenerator(7)
            >>> second = jaxinit.TorchGenerator.from_state(first.get_state())
            >>> bool((first.normal(0, 1, (20,)) == second.normal(0, 1, (20,))).all())
            True
        """
        generator = cls(0)
        generator.set_state(state)
        return generator

    def manual_seed(self, seed: int) -> Self:
        """Start again from a seed, and return the generator.

        Example:
            >>> jaxinit.TorchGenerator(0).manual_seed(-1).initial_seed()
            18446744073709551615
        """
        low, high = _SEEDS
        number = _arguments.integer("seed", seed)
        if not low <= number <= high:
            raise ValueError(f"`seed` must be between {low} and {high}, got {number}")
        self._stream = Mersenne(number % 2**64)
        return self

    def seed(self) -> int:
        """Start again from a seed that the operating system draws, and return that seed."""
        self.manual_seed(secrets.randbits(64))
        return self.initial_seed()

    def initial_seed(self) -> int:
        """Return the seed that the generator started from, as a number from 0 to 2**64 - 1."""
        return self._stream.seed

    def get_state(self) -> np.ndarray:
        """Return the state in the 5056 bytes that torch uses, for `torch.Generator.set_state(torch.from_numpy(...))`.

        Example:
            >>> jaxinit.TorchGenerator(3).get_state()[:9]
            array([3, 0, 0, 0, 0, 0, 0, 0, 1], dtype=uint8)
        """
        return self._stream.to_bytes()

    def set_state(self, state: Any) -> None:
        """Start again from a state. Raises what `from_state` raises."""
        self._stream = Mersenne.from_bytes(state)

    def uniform(self, low: float, high: float, shape: Sequence[int], dtype: DTypeLike = "float32") -> np.ndarray:
        """Draw what `torch.empty(shape, dtype=dtype).uniform_(low, high)` draws.

        Args:
            low: lower bound, reached.
            high: upper bound, never reached.
            shape: the shape of the array.
            dtype: float32, float64, float16, bfloat16, complex64 or complex128.

        Raises:
            ValueError: a bound is not finite, `low > high`, or `dtype` is another or does not reach so far.

        Example:
            >>> jaxinit.TorchGenerator(0).uniform(-1, 1, (2, 2), "float16")
            array([[-0.00749,  0.5366 ],
                   [-0.823  , -0.736  ]], dtype=float16)
        """
        low, high = _arguments.finite("low", low), _arguments.finite("high", high)
        _arguments.ordered("low", low, "high", high)
        return self.fill(Uniform(low, high), _arguments.dimensions(shape), _arguments.parse_dtype(dtype))

    def normal(self, mean: float, std: float, shape: Sequence[int], dtype: DTypeLike = "float32") -> np.ndarray:
        """Draw what `torch.empty(shape, dtype=dtype).normal_(mean, std)` draws.

        Args:
            mean: the mean.
            std: the standard deviation, at least 0.
            shape: the shape of the array.
            dtype: float32, float64, float16, bfloat16, complex64 or complex128.

        Raises:
            ValueError: an argument is not finite, `std < 0`, or `dtype` is another or does not reach so far.

        Example:
            >>> jaxinit.TorchGenerator(0).normal(0, 1, (2,))
            array([ 1.5409961, -0.2934289], dtype=float32)
        """
        mean, std = _arguments.finite("mean", mean), _arguments.within("std", std, 0.0)
        return self.fill(Normal(mean, std), _arguments.dimensions(shape), _arguments.parse_dtype(dtype))

    def trunc_normal(
        self, mean: float, std: float, a: float, b: float, shape: Sequence[int], dtype: DTypeLike = "float32"
    ) -> np.ndarray:
        """Draw what `torch.nn.init.trunc_normal_(torch.empty(shape, dtype=dtype), mean, std, a, b)` draws.

        Args:
            mean: mean before truncation.
            std: standard deviation before truncation, above 0.
            a: lower bound, in units of the values. It may be -inf.
            b: upper bound, in units of the values. It may be inf.
            shape: the shape of the array.
            dtype: float32, float64, float16 or bfloat16.

        Raises:
            ValueError: an argument is NaN, `mean` or `std` is infinite, `std <= 0` or `a > b`. Also if
                torch cannot draw from the window, or `dtype` is another or does not reach so far.

        Example:
            >>> jaxinit.TorchGenerator(0).trunc_normal(0, 0.02, -0.04, 0.04, (2,))
            array([ 0.03081992, -0.00586858], dtype=float32)
        """
        mean, std = _arguments.finite("mean", mean), _arguments.within("std", std, 0.0, is_open=True)
        a, b = _arguments.number("a", a), _arguments.number("b", b)
        _arguments.ordered("a", a, "b", b)
        distribution = TruncatedNormal(mean, std, a, b)
        return self.fill(distribution, _arguments.dimensions(shape), _arguments.parse_dtype(dtype))

    def randperm(self, n: int, first: int | None = None) -> np.ndarray:
        """Draw what `torch.randperm(n)` draws, or its first entries.

        Args:
            n: how many numbers to permute, below 2**32 / 20.
            first: how many entries are wanted, by default all. The stream goes on as after all.

        Raises:
            ValueError: `n` is negative or too large, or `first` is not between 0 and `n`.

        Example:
            >>> jaxinit.TorchGenerator(0).randperm(8), jaxinit.TorchGenerator(0).randperm(8, first=2)
            (array([4, 0, 7, 3, 2, 5, 1, 6]), array([4, 0]))
        """
        n = _arguments.integer("n", n)
        if not 0 <= n < _MOST_PERMUTED:
            raise ValueError(f"`n` must be at least 0 and below {_MOST_PERMUTED}, got {n}")
        count = n if first is None else _arguments.integer("first", first)
        if not 0 <= count <= n:
            raise ValueError(f"`first` must be between 0 and n={n}, got {count}")
        return _shuffled(self._stream.words(max(n - 1, 0)), n, count)

    def fill(self, distribution: Random, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """Draw a tensor from a distribution of jaxinit, with a valid shape and dtype.

        Raises:
            ValueError: `dtype` is not drawn by torch, or is too narrow for the distribution.
        """
        dtypes.require_drawn_by_torch(dtype)
        if jnp.issubdtype(dtype, jnp.complexfloating):
            parts = self.fill(dtypes.component(distribution, dtype), (*shape, 2), dtypes.compute_dtype(dtype))
            return parts.view(dtype).reshape(shape)
        dtypes.check_range(distribution, dtype)
        values = aligned.empty(shape, dtype)
        match distribution:
            case Uniform(low, high):
                dtypes.check_range(Uniform(0.0, high - low), dtype)
                uniform.fill(values.reshape(-1), self._stream, low, high)
            case Normal(mean, std):
                normal.fill(values.reshape(-1), self._stream, mean, std)
            case TruncatedNormal():
                trunc_normal.fill(values.reshape(-1), self._stream, distribution)
            case _:
                raise TypeError(f"torch has no single call that draws {distribution}")
        return values

    def __repr__(self) -> str:
        return f"jaxinit.TorchGenerator({self.initial_seed()})"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_stream": self.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"_stream": Mersenne.from_bytes(state["_stream"])})


def _shuffled(words: np.ndarray, n: int, count: int) -> np.ndarray:
    """Shuffle from the front, by Fisher and Yates. Once a place is passed, its number stays."""
    left = np.arange(n, n - min(count, words.size), -1)
    order = list(range(n))
    for place, step in enumerate((words[: left.size] % left).tolist()):
        order[place], order[place + step] = order[place + step], order[place]
    return np.array(order[:count], np.int64)
