"""Adapters rename and do nothing else: each library draws as it does by itself."""

import inspect
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import flax.linen
import flax.nnx
import haiku
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxinit_conformance import adapters, suite, targets
from jaxinit_conformance.reference import torch_init
from tests.conformance.command import jaxinit

SHAPE = (6, 4)


@pytest.fixture
def key(seed: int) -> jax.Array:
    return jax.random.key(seed)


def draw(target: str, name: str, key: jax.Array, **arguments: Any) -> np.ndarray:
    return np.asarray(targets.load(target).build(name, arguments)(key, SHAPE, jnp.dtype("float32")))


def built() -> list[tuple[str, str]]:
    """Every initializer of every library."""
    return [(target, name) for target in adapters.LIBRARIES for name in vars(targets.load(target).namespace)]


def test_jax_draws_as_it_does_by_itself(key: jax.Array) -> None:
    for target in ("jax.nn.initializers", "flax"):
        theirs = jax.nn.initializers.truncated_normal(2.0, lower=-1.0, upper=0.5)(key, SHAPE)
        assert (draw(target, "trunc_normal", key, std=2.0, a=-1.0, b=0.5) == theirs).all()


def test_keras_draws_from_the_key(key: jax.Array) -> None:
    theirs = jax.random.normal(key, SHAPE) * 2.0 + 0.5
    np.testing.assert_allclose(draw("keras.initializers", "normal", key, mean=0.5, std=2.0), theirs, rtol=1e-6)


def test_haiku_draws_as_it_does_inside_a_module(key: jax.Array) -> None:
    theirs = haiku.transform(lambda: haiku.get_parameter("w", SHAPE, init=haiku.initializers.RandomUniform(-1, 3)))
    assert (draw("haiku", "uniform", key, a=-1, b=3) == jax.tree.leaves(theirs.init(key))[0]).all()


@pytest.mark.parametrize(("target", "name"), built())
def test_all_of_them_can_be_traced_and_keep_to_the_key(target: str, name: str, key: jax.Array) -> None:
    init = targets.load(target).build(name, {"val": 0.5} if name == "constant" else {})
    traced = jax.jit(lambda key: init(key, SHAPE, jnp.dtype("float32")))(key)
    assert traced.shape == SHAPE
    assert traced.dtype == jnp.float32
    np.testing.assert_allclose(traced, init(key, SHAPE, jnp.dtype("float32")), rtol=1e-5, atol=1e-6)
    other = init(jax.random.fold_in(key, 1), SHAPE, jnp.dtype("float32"))
    assert bool((other == traced).all()) == (name in ("zeros", "ones", "constant", "eye"))


def test_defaults_are_those_of_the_library(key: jax.Array) -> None:
    shown = {target: str(inspect.signature(targets.load(target).namespace.normal)) for target in adapters.LIBRARIES}
    assert {target: re.findall(r"(\w+)[^,=]*= *([\d.]+)", text) for target, text in shown.items()} == {
        "jax.nn.initializers": [("std", "0.01")],
        "flax": [("std", "0.01")],
        "keras.initializers": [("mean", "0.0"), ("std", "0.05")],
        "haiku": [("mean", "0.0"), ("std", "1.0")],
    }
    assert (draw("flax", "normal", key) == jax.nn.initializers.normal()(key, SHAPE)).all()


def test_the_order_of_arguments_is_torchs(key: jax.Array) -> None:
    init = targets.load("haiku").namespace.normal(100.0, 0.001)  # whose own order is stddev, mean
    assert (abs(init(key, SHAPE, jnp.dtype("float32")) - 100) < 1).all()


@pytest.mark.parametrize(
    ("target", "name", "arguments", "message"),
    [
        ("jax.nn.initializers", "xavier_uniform", {"gain": 1.0}, "xavier_uniform has no `gain`"),
        ("keras.initializers", "trunc_normal", {"a": -2.0, "b": 2.0}, "truncated_normal has no `a`, `b`"),
        ("keras.initializers", "kaiming_normal", {"mode": "fan_in"}, "he_normal has no `mode`"),
        ("haiku", "normal", {"gain": 1.0}, "unexpected keyword argument 'gain'"),
    ],
)
def test_an_argument_without_counterpart_is_named(
    target: str, name: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=message):
        targets.load(target).build(name, arguments)


def test_every_synonym_is_torchs_on_one_side_and_some_librarys_on_the_other() -> None:
    assert set(adapters.NAMES) <= set(torch_init.initializers())
    assert set(adapters.ARGUMENTS) <= {
        each for name in torch_init.initializers() for each in torch_init.parameters(name)
    }
    found = [vars(library.find()) for library in adapters.LIBRARIES.values()]
    used = [
        space[its] for space in found for name, more in adapters.NAMES.items() for its in (name, *more) if its in space
    ]
    arguments = {argument for each in used for argument in inspect.signature(each).parameters}
    assert {its for more in adapters.NAMES.values() for its in more} <= set().union(*found)
    assert {its for more in adapters.ARGUMENTS.values() for its in more} <= arguments


def test_both_faces_of_flax_hold_the_same_initializers() -> None:
    for name in ("uniform", "normal", "truncated_normal", "xavier_normal", "kaiming_normal", "orthogonal", "zeros"):
        assert getattr(flax.linen.initializers, name) is getattr(flax.nnx.initializers, name)


@pytest.mark.parametrize(("target", "module"), [("haiku", "haiku"), ("keras.initializers", "keras"), ("flax", "flax")])
def test_a_missing_library_ends_with_the_command_that_installs_it(
    target: str, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    assert jaxinit(["report", "--target", target, "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        f"Error: cannot import the target {target!r}: it needs {module}. Install it with: "
        f"pip install {adapters.LIBRARIES[target].package}"
    ]


@pytest.mark.parametrize("target", adapters.LIBRARIES)
def test_a_report_names_the_version_of_the_library(target: str) -> None:
    report = suite.run(targets.load(target), 0, quick=True, select="^constant: signature")
    package = adapters.LIBRARIES[target].package
    assert report.versions[package] == metadata.version(package)


def test_keras_that_does_not_draw_with_jax_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    import keras

    monkeypatch.setattr(keras.backend, "backend", lambda: "torch")
    with pytest.raises(targets.TargetError, match=r"keras draws with torch\. Set KERAS_BACKEND=jax"):
        targets.load("keras.initializers")
