"""A recipe holds for models that no one here wrote: all that torch builds is in it, and comes out of it."""

import functools
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

import jaxinit
from jaxinit._sampling.source import KeySource
from jaxinit.distributions import Constant, Distribution, Normal, TruncatedNormal, Uniform
from tests.jaxinit.draws import FALSE_ALARM
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2
from tests.other_models.models import MODELS
from tests.other_models.table import LARGEST, measured, rows_of_docs

pytestmark = pytest.mark.filterwarnings("ignore")
# Of so many samples, only entries that torch does not draw are equal in all, even in bfloat16.
SAMPLES = 8


@functools.cache
def recipe(name: str) -> jaxinit.Recipe:
    return jaxinit.record(MODELS[name])


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_and_buffer_is_recorded(name: str) -> None:
    model = MODELS[name]()
    tensors = {n: t for each in (model.named_parameters, model.named_buffers) for n, t in each(remove_duplicate=False)}
    recorded = recipe(name).parameters
    assert {n for p in recorded for n in (p.name, *p.aliases)} == tensors.keys()
    assert len(recorded) == len({id(tensor) for tensor in tensors.values()})
    for parameter in recorded:
        assert parameter.shape == tuple(tensors[parameter.name].shape)
        assert parameter.dtype == str(tensors[parameter.name].dtype).removeprefix("torch.")


@as_on_avx2
@pytest.mark.parametrize("name", MODELS)
def test_from_a_seed_it_is_what_torch_builds(name: str, seed: int) -> None:
    row = measured(name, MODELS[name], recipe(name), seed)
    assert row.largest <= max((most for start, most in LARGEST.items() if name.startswith(start)), default=0.0)
    (documented,) = (each for each in rows_of_docs() if each.name == name)
    assert row.counts == documented.counts


@pytest.mark.parametrize("name", MODELS)
def test_from_a_key_each_parameter_is_drawn_from_its_distribution(name: str, seed: int) -> None:
    """A parameter of one distribution is what its initializer draws from the key folded with its name."""
    key = jax.random.key(seed)
    with jax.enable_x64(True):
        arrays = recipe(name).sample(key)
        samples = functools.cache(
            lambda: [recipe(name).sample(jaxinit.TorchGenerator(seed + place)) for place in range(SAMPLES)]
        )
        for parameter in recipe(name).parameters:
            array = arrays.get(parameter.name)
            if array is None:
                continue  # a buffer that is not in the state
            if parameter.distribution is None:
                assert_like_torchs(np.asarray(array), np.stack([sample[parameter.name] for sample in samples()]))
            else:
                names = [parameter.name, *same_before(recipe(name), parameter)]
                draws = (drawn(parameter.distribution, key, n, array) for n in names)
                assert any(np.array_equal(array, each) for each in draws), parameter


def same_before(of: jaxinit.Recipe, parameter: Any) -> Iterator[str]:
    """Yield the names of earlier parameters that may hold the same draw.

    A module that torch copies starts equal to the first, and weight norm computes a parameter from the one after it.
    """
    for other in of.parameters:
        if other is parameter:
            return
        if other.distribution is None or (other.distribution, other.shape) == (parameter.distribution, parameter.shape):
            yield other.name


def drawn(distribution: Distribution, key: jax.Array, name: str, array: jax.Array) -> Any:
    match distribution:
        case Constant(value):
            return jnp.full(array.shape, value, array.dtype)
        case Uniform(low, high):
            init: jaxinit.Initializer = jaxinit.uniform(low, high)
        case Normal(mean, std):
            init = jaxinit.normal(mean, std)
        case TruncatedNormal(loc, scale, low, high):
            init = jaxinit.trunc_normal(loc, scale, low, high)
        case _:
            raise TypeError(distribution)
    return init(KeySource(key).at((name,)).key, array.shape, array.dtype)


def assert_like_torchs(array: np.ndarray, samples: np.ndarray) -> None:
    """Assert that entries which torch does not draw are equal, and that the others have the distribution of torch's."""
    fixed = (samples == samples[0]).all(axis=0)
    np.testing.assert_array_equal(array[fixed], samples[0, fixed])
    if not fixed.all():
        ours, theirs = (each.astype(float) for each in (array[~fixed], samples[:, ~fixed].ravel()))
        assert scipy.stats.ks_2samp(ours, theirs).pvalue > FALSE_ALARM
