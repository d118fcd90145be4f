"""What every draw from a distribution shows, judged at a designed rate: seeds are fresh, and any seed must pass."""

from collections.abc import Callable

import numpy as np
from scipy import stats

from jaxinit.distributions import Constant, Distribution, Normal, Random, Triangular, TruncatedNormal

# The chance that one sound draw is called wrong.
FALSE_ALARM = 1e-11


def cdf_of(distribution: Random) -> Callable[[np.ndarray], np.ndarray]:
    low, high = distribution.support
    match distribution:
        case Normal(mean, std):
            frozen = stats.norm(mean, std)
        case TruncatedNormal(loc, scale, _, _):
            frozen = stats.truncnorm(*distribution.window, loc, scale)
        case Triangular():
            frozen = stats.triang(0.5, low, high - low)
        case _:
            frozen = stats.uniform(low, high - low)
    cdf: Callable[[np.ndarray], np.ndarray] = frozen.cdf
    return cdf


def assert_drawn(values: np.ndarray, distribution: Distribution) -> None:
    """float32 `values` are of the distribution, each entry a draw of its own."""
    low, high = np.asarray(distribution.support, np.float32)
    assert (values >= low).all()
    assert (values <= high).all()
    if isinstance(distribution, Constant):
        return
    assert stats.kstest(values.ravel(), cdf_of(distribution)).pvalue > FALSE_ALARM
    # Two draws are alike with chance 2^-24, that of the coarsest kernel. Pairs are all but independent.
    repeated = values.size - np.unique(values).size
    assert repeated <= stats.poisson.isf(FALSE_ALARM, values.size * (values.size - 1) / 2 * 2.0**-24)
