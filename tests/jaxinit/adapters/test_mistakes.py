"""Calls in the style of another framework, and what is no initializer."""

from collections.abc import Callable
from typing import Any

import haiku
import jax
import jax.numpy as jnp
import keras
import pytest

import jaxinit
from jaxinit._initializers.text import from_text
from tests.jaxinit.initializers.test_base import VALUES

KEY = jax.random.key(0)
UNTYPED: Any = jaxinit
HAIKU: Any = haiku


@pytest.mark.parametrize("adapter", [jaxinit.at_call, jaxinit.haiku.initializer, jaxinit.keras.initializer])
def test_only_initializers_of_jaxinit_are_adapted(adapter: Any) -> None:
    with pytest.raises(TypeError, match=r"`init` must be an initializer such as jaxinit.normal"):
        adapter(jax.nn.initializers.zeros)


def test_a_call_of_another_style_names_the_adapter() -> None:
    with_axes: list[Callable[[], Any]] = [
        lambda: UNTYPED.normal()(KEY, (3, 4), jnp.float32, 0, 1),
        lambda: UNTYPED.normal()(KEY, (3, 4), in_axis=0, out_axis=1),
    ]
    for call in with_axes:
        with pytest.raises(TypeError, match=r"got `in_axis` or `out_axis` too; pass jaxinit.at_call\(init\)"):
            call()
    without_key: list[Callable[[], Any]] = [
        lambda: UNTYPED.zeros()((3, 4), dtype="float32"),
        lambda: UNTYPED.zeros()([3, 4], jnp.float32),
        lambda: UNTYPED.zeros()(shape=(3, 4)),
        lambda: keras.layers.Dense(4, kernel_initializer=jaxinit.normal()).build((None, 3)),
        lambda: HAIKU.transform(lambda: HAIKU.Linear(4, w_init=UNTYPED.normal())(jnp.ones((1, 3)))).init(KEY),
    ]
    for call in without_key:
        with pytest.raises(TypeError, match=r"pass jaxinit.keras.initializer\(init\) to Keras and jaxinit.haiku"):
            call()


@pytest.mark.parametrize("layer", ["MultiHeadAttention", "GroupQueryAttention"])
def test_attention_of_keras_names_the_adapter(layer: str) -> None:
    attention = getattr(keras.layers, layer)(4, 4, 2, kernel_initializer=jaxinit.normal())
    message = r"'normal' has no attribute 'from_config'; pass jaxinit.keras.initializer\(init\) to Keras"
    with pytest.raises(AttributeError, match=message):
        attention.build((1, 3, 8), (1, 3, 8))
    with pytest.raises(AttributeError, match=r"type object 'normal' has no attribute 'config'$"):
        UNTYPED.normal.config  # noqa: B018  # an attribute is looked up


def test_a_factory_that_haiku_calls_names_the_adapter() -> None:
    message = (
        r"`jaxinit.kaiming_normal` builds an initializer and takes no shape, got \[3, 4\]; "
        r"in Haiku, pass jaxinit.haiku.initializer\(jaxinit.kaiming_normal\(\)\)"
    )
    with pytest.raises(TypeError, match=message):
        HAIKU.transform(lambda: HAIKU.Linear(4, w_init=UNTYPED.kaiming_normal)(jnp.ones((1, 3)))).init(KEY)


@pytest.mark.parametrize("init", VALUES, ids=repr)
def test_its_text_gives_the_initializer(init: jaxinit.Initializer) -> None:
    assert from_text(repr(init)) == init


@pytest.mark.parametrize(
    "text",
    ["", "1", "jaxinit.nnx", "normal()", "jaxinit.norma()", "jaxinit.normal", "open('x')", "jaxinit.normal().std", "(",
     "jaxinit.normal(__import__('os'))", "jaxinit.normal() or 1", "jaxinit.normal.__subclasses__()"],
)  # fmt: skip
def test_other_texts_are_refused_and_never_run(text: str) -> None:
    with pytest.raises(ValueError, match="`init` must be the text of an initializer of jaxinit, got"):
        from_text(text)
