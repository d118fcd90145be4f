"""torch's CPU generator, without torch."""

import secrets
from collections.abc import Callable, Sequence
from typing import Any, Literal, Self, get_args

import numpy as np
from jax.typing import DTypeLike

from jaxinit import _arguments
from jaxinit._sampling import dtypes
from jaxinit._torch_generator import normal, trunc_normal, uniform
from jaxinit._torch_generator.mt19937 import Mersenne
from jaxinit._torch_generator.source import SequentialSource
from jaxinit.distributions import Normal, TruncatedNormal, Uniform

TorchVersion = Literal["2.11", "2.13"]

_SEEDS = -(2**63), 2**64 - 1

# From here on torch takes two words a step.
_MOST_PERMUTED = (2**32 - 1) // 20

_TRUNCATED: dict[str, Callable[[np.ndarray, Mersenne, TruncatedNormal], None]] = {
    "2.11": trunc_normal.by_inverse,
    "2.13": trunc_normal.by_rejection,
}


class TorchGenerator(SequentialSource):
    """The numbers that torch draws on a CPU from the same seed::

        word = MT19937(seed),  uniform = (word mod 2**24) / 2**24,  normal = sqrt(-2 log(1 - u)) cos(2 pi v)

    Each method is one call of torch, and takes from the stream what that call takes. Uniform
    and truncated normal numbers and permutations are torch's to the bit; normal numbers are
    within 2**-20 standard deviations, and with `exact` to the bit too.

    Args:
        seed: from -2**63 to 2**64 - 1, as in `torch.manual_seed`; negative ones count back from 2**64.
        exact: normal numbers by the very polynomials that torch uses, four to six times slower.
        torch_version: whose `trunc_normal_` to follow: "2.13", or "2.11", which inverts the
            distribution function (written from its source; no such torch was at hand to compare with).

    Raises:
        TypeError: `seed` is not an integer.
        ValueError: `seed` does not fit in 64 bits, or `torch_version` is another one.

    Example:
        >>> generator = jaxinit.TorchGenerator(0)
        >>> generator.uniform(0, 1, (3,))  # torch.manual_seed(0); torch.rand(3)
        array([0.4962566 , 0.7682218 , 0.08847743], dtype=float32)
        >>> generator.randperm(5)
        array([0, 4, 2, 1, 3])

    Differs from torch's in refusing bounds, deviations and dtypes that torch refuses later or
    not at all. It follows torch on x86 processors with AVX2, where products are fused into
    sums; torch on others, and on GPUs, draws other numbers itself.
    """

    def __init__(self, seed: int, *, exact: bool = False, torch_version: TorchVersion = "2.13") -> None:
        self._exact = bool(exact)
        self._torch_version = _arguments.choice("torch_version", torch_version, get_args(TorchVersion))
        self.manual_seed(seed)

    @classmethod
    def from_state(cls, state: Any, *, exact: bool = False, torch_version: TorchVersion = "2.13") -> Self:
        """The generator that goes on where the one with this state stopped.

        Args:
            state: what `get_state` returned, torch's or this one's.
            exact: as for a new generator.
            torch_version: as for a new generator.

        Raises:
            TypeError: `state` is not an array of uint8.
            ValueError: `state` is not that of a CPU generator.

        Example:
            >>> first = jaxinit.TorchGenerator(7)
            >>> second = jaxinit.TorchGenerator.from_state(first.get_state())
            >>> bool((first.normal(0, 1, (20,)) == second.normal(0, 1, (20,))).all())
            True
        """
        generator = cls(0, exact=exact, torch_version=torch_version)
        generator.set_state(state)
        return generator

    def manual_seed(self, seed: int) -> Self:
        """Starts anew, and returns the generator.

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
        """Starts anew from a seed of the operating system's, and returns it."""
        self.manual_seed(secrets.randbits(64))
        return self.initial_seed()

    def initial_seed(self) -> int:
        """The seed it started from, without a sign."""
        return self._stream.seed

    def get_state(self) -> np.ndarray:
        """Its state in the 5056 bytes that torch uses, for `torch.Generator.set_state(torch.from_numpy(...))`.

        Example:
            >>> jaxinit.TorchGenerator(3).get_state()[:9]
            array([3, 0, 0, 0, 0, 0, 0, 0, 1], dtype=uint8)
        """
        return self._stream.to_bytes()

    def set_state(self, state: Any) -> None:
        """Goes on from a state; raises as `from_state` does."""
        self._stream = Mersenne.from_bytes(state)

    def uniform(self, low: float, high: float, shape: Sequence[int], dtype: DTypeLike = "float32") -> np.ndarray:
        """`torch.empty(shape, dtype=dtype).uniform_(low, high)`.

        Args:
            low: lower bound, reached.
            high: upper bound, never reached.
            shape: the shape of the array.
            dtype: float32, float64, float16 or bfloat16.

        Raises:
            ValueError: a bound is not finite, `low > high`, or `dtype` is another or does not reach so far.

        Example:
            >>> jaxinit.TorchGenerator(0).uniform(-1, 1, (2, 2), "float16")
            array([[-0.00749,  0.5366 ],
                   [-0.823  , -0.736  ]], dtype=float16)
        """
        low, high = _arguments.finite("low", low), _arguments.finite("high", high)
        _arguments.ordered("low", low, "high", high)
        values = _empty(shape, dtype)
        dtypes.check_range(Uniform(low, high), values.dtype)
        dtypes.check_range(Uniform(0.0, high - low), values.dtype)
        uniform.fill(values.reshape(-1), self._stream, low, high)
        return values

    def normal(self, mean: float, std: float, shape: Sequence[int], dtype: DTypeLike = "float32") -> np.ndarray:
        """`torch.empty(shape, dtype=dtype).normal_(mean, std)`.

        Args:
            mean: the mean.
            std: the standard deviation, at least 0.
            shape: the shape of the array.
            dtype: float32, float64, float16 or bfloat16.

        Raises:
            ValueError: an argument is not finite, `std < 0`, or `dtype` is another or does not reach so far.

        Example:
            >>> jaxinit.TorchGenerator(0).normal(0, 1, (2,))
            array([ 1.5409961, -0.2934289], dtype=float32)
        """
        mean, std = _arguments.finite("mean", mean), _arguments.within("std", std, 0.0)
        values = _empty(shape, dtype)
        dtypes.check_range(Normal(mean, std), values.dtype)
        normal.fill(values.reshape(-1), self._stream, mean, std, self._exact)
        return values

    def trunc_normal(
        self, mean: float, std: float, a: float, b: float, shape: Sequence[int], dtype: DTypeLike = "float32"
    ) -> np.ndarray:
        """`torch.nn.init.trunc_normal_(torch.empty(shape, dtype=dtype), mean, std, a, b)`.

        Args:
            mean: mean before truncation.
            std: standard deviation before truncation, above 0.
            a: lower bound, in units of the values; may be -inf.
            b: upper bound, likewise; may be inf.
            shape: the shape of the array.
            dtype: float32, float64, float16 or bfloat16.

        Raises:
            ValueError: an argument is NaN, `mean` or `std` is infinite, `std <= 0`, `a > b`, the
                window is one that torch cannot draw from, or `dtype` is another or does not reach so far.

        Example:
            >>> jaxinit.TorchGenerator(0).trunc_normal(0, 0.02, -0.04, 0.04, (2,))
            array([ 0.03081992, -0.00586858], dtype=float32)
        """
        mean, std = _arguments.finite("mean", mean), _arguments.within("std", std, 0.0, is_open=True)
        a, b = _arguments.number("a", a), _arguments.number("b", b)
        _arguments.ordered("a", a, "b", b)
        values, distribution = _empty(shape, dtype), TruncatedNormal(mean, std, a, b)
        dtypes.check_range(distribution, values.dtype)
        _TRUNCATED[self._torch_version](values.reshape(-1), self._stream, distribution)
        return values

    def randperm(self, n: int, first: int | None = None) -> np.ndarray:
        """`torch.randperm(n)`, or the first so many entries of it.

        Args:
            n: how many numbers to permute, below 2**32 / 20.
            first: how many entries are wanted; all of them by default. The stream goes on as after all.

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

    def __repr__(self) -> str:
        exact = ", exact=True" if self._exact else ""
        version = f", torch_version={self._torch_version!r}" if self._torch_version != "2.13" else ""
        return f"jaxinit.TorchGenerator({self.initial_seed()}{exact}{version})"

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_stream": self.get_state()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"_stream": Mersenne.from_bytes(state["_stream"])})


def _empty(shape: Sequence[int], dtype: DTypeLike) -> np.ndarray:
    parsed = _arguments.parse_dtype(dtype)
    dtypes.require_drawn_by_torch(parsed)
    return np.empty(_arguments.dimensions(shape), parsed)


def _shuffled(words: np.ndarray, n: int, count: int) -> np.ndarray:
    """Fisher and Yates from the front: once a place is passed, its number stays."""
    left = np.arange(n, n - min(count, words.size), -1)
    order = list(range(n))
    for place, step in enumerate((words[: left.size] % left).tolist()):
        order[place], order[place + step] = order[place + step], order[place]
    return np.array(order[:count], np.int64)
