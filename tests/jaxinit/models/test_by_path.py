"""`apply` with initializers by patterns of paths: the first pattern that fits counts, and none may be unused."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from jaxinit._models import by_path

KEY, X = jax.random.key(0), jnp.zeros((1, 6))
ZEROS = jaxinit.zeros()
EVERY = {"**": ZEROS}


class Attention(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(6)(nn.Dense(6)(x))


class Linen(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for name in ("attn_0", "attn_1"):
            x = Attention(name=name)(x)
        return nn.Dense(3, name="head")(x)


class NNX(nnx.Module):
    def __init__(self, rngs: nnx.Rngs) -> None:
        for name in ("attn_0", "attn_1"):
            setattr(self, name, nnx.Sequential(nnx.Linear(6, 6, rngs=rngs), nnx.Linear(6, 6, rngs=rngs)))
        self.head = nnx.Linear(6, 3, rngs=rngs)


def applied(api: str, fn: Any, key: Any = KEY, **only: Any) -> dict[str, np.ndarray]:
    """Return all arrays by dotted path, of a model of ones to which `fn` was applied."""
    if api == "nnx":
        model = NNX(nnx.Rngs(0))
        jaxinit.nnx.apply(model, {"**": jaxinit.ones()}, KEY)
        jaxinit.nnx.apply(model, fn, key, **only)
        tree: Any = nnx.to_pure_dict(nnx.state(model))
    else:
        module = Linen()
        ones = jaxinit.linen.apply(module, module.init(KEY, X), {"**": jaxinit.ones()}, KEY, X)
        tree = jaxinit.linen.apply(module, ones, fn, key, X, **only)["params"]
    flat = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(array) for path, array in flat}


def zeroed(api: str, patterns: dict[str, Any], **only: Any) -> set[str]:
    return {path for path, array in applied(api, patterns, **only).items() if not array.any()}


APIS = pytest.mark.parametrize("api", ["nnx", "linen"])
ALL = {"nnx": set(applied("nnx", EVERY)), "linen": set(applied("linen", EVERY))}


@APIS
@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("**", lambda path: True),
        ("**/kernel", lambda path: path.endswith("kernel")),
        ("head/kernel", lambda path: path == "head.kernel"),
        ("head.kernel", lambda path: path == "head.kernel"),
        ("head/**/kernel", lambda path: path == "head.kernel"),
        ("*/kernel", lambda path: path == "head.kernel"),
        ("attn_?/**", lambda path: path.startswith("attn")),
        ("**/attn_1/**/bias", lambda path: path.startswith("attn_1") and path.endswith("bias")),
        ("*d/*s", lambda path: path == "head.bias"),
    ],
)
def test_a_pattern_fits_whole_paths(api: str, pattern: str, expected: Any) -> None:
    assert zeroed(api, {pattern: jaxinit.zeros()}) == set(filter(expected, ALL[api]))


@APIS
def test_the_first_pattern_that_fits_counts(api: str) -> None:
    patterns = {
        "head/*": None,
        "attn_0/**": jaxinit.zeros(),
        "**/kernel": jaxinit.constant(2),
        "**": jaxinit.constant(3),
    }
    for path, array in applied(api, patterns).items():
        expected = 1 if path.startswith("head") else 0 if "attn_0" in path else 2 if "kernel" in path else 3
        assert (array == expected).all()


@APIS
def test_numbers_and_layouts_are_those_of_a_function(api: str, seed: int) -> None:
    kinds = nnx.Linear | nn.Dense
    for key in (jax.random.key(seed), jaxinit.TorchGenerator(seed)):
        by_function = applied(
            api,
            lambda module: (
                {"kernel": jaxinit.orthogonal(), "bias": jaxinit.uniform()} if isinstance(module, kinds) else None
            ),
            key,
        )
        key = key if isinstance(key, jax.Array) else jaxinit.TorchGenerator(seed)
        patterns = {"**/kernel": jaxinit.orthogonal(), "**/bias": jaxinit.uniform()}
        for path, array in applied(api, patterns, key).items():
            np.testing.assert_array_equal(array, by_function[path])


@APIS
def test_only_selects_among_them(api: str) -> None:
    assert zeroed(api, {"**/kernel": jaxinit.zeros()}, only="head") == {"head.kernel"}


@APIS
@pytest.mark.parametrize(
    ("patterns", "error", "message"),
    [
        ({"**/kernel": ZEROS, "haed/*": ZEROS}, ValueError, r"got 'haed/\*', which fits none\. Paths are .*head"),
        ({"kernel": ZEROS}, ValueError, "got 'kernel', which fits none"),
        ({"attn": ZEROS}, ValueError, "got 'attn', which fits none"),
        ({"**": ZEROS, "head/bias": None}, ValueError, r"got 'head/bias', which fits only where \*\* comes first"),
        ({"**": 1.0}, TypeError, r"`fn` must have initializers or None by patterns of paths, got '\*\*': 1\.0"),
        ({("head", "bias"): ZEROS}, TypeError, r"by patterns of paths, got \('head', 'bias'\)"),
    ],
)
def test_a_wrong_pattern_is_refused(api: str, patterns: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        applied(api, patterns)


def test_many_stars_are_tried_in_time() -> None:
    path = tuple("ab" * 6)
    assert by_path._fits(path, ["**", "a", "**", "b", "**", "a", "**"])
    assert not by_path._fits(path, ["**", "a", "**", "c"])
