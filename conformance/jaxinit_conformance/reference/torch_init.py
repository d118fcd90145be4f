"""What torch does, asked of the installed torch itself.

Its draws; its distributions, recovered exactly from draws with equal seeds; its fans,
gains, signatures and refusals. Nothing of any target is used here.
"""

import contextlib
import dataclasses
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

import ml_dtypes
import numpy as np
import torch
from scipy import stats

Arguments = Mapping[str, Any]
Shape = tuple[int, ...]

version = torch.__version__

# MKL settles the code of a function at its first call. Threads that make that call together may run code that is right
# to half the digits (pytorch/pytorch#188792), so one number goes first. trunc_normal_ calls log, that of torch 2.11
# erfinv; models call tanh.
for _function, _dtype in itertools.product((torch.log, torch.erfinv, torch.tanh), (torch.float32, torch.float64)):
    _function(torch.full((1,), 0.5, dtype=_dtype))


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """torch's global generator on the CPU seeded, and afterwards as it was before."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed turns to each absent device too, in a millisecond
        yield


def function(name: str) -> Callable[..., Any]:
    """`torch.nn.init.NAME_`, or the one without an underscore that changes no tensor."""
    found: Callable[..., Any] | None = getattr(torch.nn.init, f"{name}_", None) or getattr(torch.nn.init, name, None)
    if found is None:
        raise LookupError(f"torch.nn.init has no {name}")
    return found


def initializers() -> tuple[str, ...]:
    """The names of torch's initializers, without the underscore."""
    return tuple(name[:-1] for name in torch.nn.init.__all__ if name.endswith("_"))


def signature(name: str) -> inspect.Signature:
    """The signature of torch's function as a factory: without the tensor and the generator."""
    given = inspect.signature(function(name)).parameters.values()
    return inspect.Signature([parameter for parameter in given if parameter.name not in ("tensor", "generator")])


def parameters(name: str) -> dict[str, Any]:
    """The arguments of torch's function by name, in order, with their defaults."""
    return {parameter.name: parameter.default for parameter in signature(name).parameters.values()}


def fill(name: str, arguments: Arguments, shape: Shape, dtype: str, count: int = 1) -> np.ndarray:
    """`count` tensors of `shape` as torch fills them, stacked; to be called inside `seeded`."""
    tensors = torch.empty((count, *shape), dtype=getattr(torch, dtype))
    for tensor in tensors:
        function(name)(tensor, **arguments)
    if dtype == "bfloat16":
        return tensors.float().numpy().astype(ml_dtypes.bfloat16)
    return tensors.numpy()


@dataclasses.dataclass(frozen=True)
class Expected:
    """One entry's distribution: the kind, and what its scipy counterpart is built from."""

    kind: Literal["uniform", "triangular", "normal", "truncated_normal", "constant"]
    loc: float
    scale: float
    low: float = -math.inf
    high: float = math.inf

    @classmethod
    def stated(cls, distribution: Any) -> "Expected":
        """What an initializer of jaxinit states of itself by `distribution(shape)`."""
        low, high = distribution.support
        if distribution.kind == "truncated_normal":
            return cls(distribution.kind, distribution.loc, distribution.scale, low, high)
        if distribution.kind in ("uniform", "triangular", "constant"):
            return cls(distribution.kind, low, high - low, low, high)
        return cls("normal", distribution.mean, distribution.std)

    def distance(self, other: "Expected | None") -> float:
        """By which the numbers of another of this kind differ, as a share of the scale; infinity for no such one."""
        if other is None or other.kind != self.kind:
            return math.inf
        pairs = zip(
            (self.loc, self.scale, self.low, self.high), (other.loc, other.scale, other.low, other.high), strict=True
        )
        return max(abs(a - b) for a, b in pairs if a != b) / (self.scale or 1.0) if self != other else 0.0

    @functools.cached_property
    def scipy(self) -> Any:
        if self.kind == "uniform":
            return stats.uniform(self.low, self.high - self.low)
        if self.kind == "triangular":
            return stats.triang(0.5, self.low, self.high - self.low)
        if self.kind == "normal":
            return stats.norm(self.loc, self.scale)
        window = (self.low - self.loc) / self.scale, (self.high - self.loc) / self.scale
        return stats.truncnorm(*window, self.loc, self.scale)

    @functools.cached_property
    def mean(self) -> float:
        return self.average(lambda x: x)

    @functools.cached_property
    def std(self) -> float:
        return math.sqrt(self.average(lambda x: (x - self.mean) ** 2))

    def moment(self, order: int) -> float:
        """The standardized central moment."""
        return self.average(lambda x: ((x - self.mean) / self.std) ** order)

    def rounded_cdf(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P(X < v) and P(X <= v) for X rounded to nearest in the dtype of sorted `values`, kept in the support."""
        with np.errstate(over="ignore"):  # beyond the largest value lies infinity, or nothing
            following, preceding = (
                np.nextafter(values, np.asarray(bound).astype(values.dtype)).astype(np.float64)
                for bound in (_beyond(values.dtype), -_beyond(values.dtype))
            )
        exact = values.astype(np.float64)
        below = np.where(preceding < self.low, 0.0, self.scipy.cdf((preceding + exact) / 2))
        upto = np.where(following >= self.high, 1.0, self.scipy.cdf((exact + following) / 2))
        return below, upto

    def average(self, f: Callable[[np.ndarray], np.ndarray]) -> float:
        """The expectation of f, by Gauss-Legendre quadrature over all but 1e-40 of the mass."""
        low, high = self.scipy.support()
        low, high = max(low, self.scipy.isf(1 - 1e-16) - 4 * self.scale), min(high, self.scipy.isf(1e-40))
        nodes, weights = _gauss_legendre(400)
        x = (low + high) / 2 + (high - low) / 2 * nodes
        mass = weights * self.scipy.pdf(x)
        return float((mass * f(x)).sum() / mass.sum())


def is_distribution(value: Any) -> bool:
    """Whether it says what `Expected.stated` asks."""
    return all(hasattr(value, name) for name in ("kind", "mean", "std", "support"))


def _beyond(dtype: np.dtype) -> float:
    """Infinity, or the largest value of a dtype that lacks it."""
    return math.inf if np.isinf(np.asarray(math.inf).astype(dtype)) else float(ml_dtypes.finfo(dtype).max)


_gauss_legendre = functools.cache(np.polynomial.legendre.leggauss)


@functools.cache
def _standard(draw: str, shape: Shape) -> np.ndarray:
    tensor = torch.empty(shape, dtype=torch.float64)
    with seeded(0):
        return (tensor.uniform_(0, 1) if draw == "uniform" else tensor.normal_(0, 1)).numpy()


def expected(name: str, arguments: Arguments, shape: Shape) -> Expected:
    """torch's distribution for one entry of a tensor of `shape`, to about 1e-15.

    With equal seeds torch's numbers are those of a standard draw, moved and scaled; the
    entries farthest apart give both. Truncated normals are given by their arguments.
    """
    if name == "trunc_normal":
        given = {**parameters(name), **arguments}
        return Expected("truncated_normal", given["mean"], given["std"], given["a"], given["b"])
    kind: Literal["uniform", "normal"] = "uniform" if "uniform" in name else "normal"
    standard = _standard(kind, shape)
    with seeded(0):
        drawn = fill(name, arguments, shape, "float64")[0]
    least, most = standard.argmin(), standard.argmax()
    scale = float((drawn.flat[most] - drawn.flat[least]) / (standard.flat[most] - standard.flat[least]))
    nearest = abs(standard).argmin()
    loc = float(drawn.flat[nearest] - scale * standard.flat[nearest])
    if kind == "uniform":
        return Expected(kind, loc, scale, loc, loc + scale)
    return Expected(kind, loc, scale)


def fans(shape: Shape) -> tuple[int, int]:
    """torch's (fan_in, fan_out) of a tensor of `shape`.

    Read off its public functions: std is 1 / sqrt(fan) for a linear kaiming_normal.
    """
    fan_in, fan_out = (
        expected("kaiming_normal", {"mode": mode, "nonlinearity": "linear"}, shape).scale ** -2
        for mode in ("fan_in", "fan_out")
    )
    return round(fan_in), round(fan_out)
