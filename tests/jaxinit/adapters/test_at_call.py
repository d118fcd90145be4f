"""Callers that name the axes of a weight when they draw it: MaxText."""

import math
import pickle
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxinit
from jaxinit import Layout

KEY = jax.random.key(0)


@pytest.mark.parametrize(
    ("shape", "in_axis", "out_axis", "layout"),
    [
        ((64, 32), 0, 1, Layout()),
        ((4, 64, 32), 1, 2, Layout(batch_axis=0)),
        ((4, 64, 32), -2, -1, Layout(batch_axis=0)),
        ((64, 6, 32), 0, 2, Layout(0, 2, 1)),
        ((64, 4, 8), 0, (1, 2), Layout(0, (1, 2))),
        ((4, 8, 2, 64), (0, 1), -1, Layout((0, 1), 3, 2)),
    ],
)
@pytest.mark.parametrize(
    "factory", [jaxinit.kaiming_normal, jaxinit.orthogonal, lambda **given: 0.5 * jaxinit.sparse(0.1, **given)]
)
def test_the_call_names_the_axes(shape: Any, in_axis: Any, out_axis: Any, layout: Layout, factory: Any) -> None:
    drawn = jaxinit.at_call(factory())(KEY, shape, jnp.float32, in_axis, out_axis)
    np.testing.assert_array_equal(drawn, factory(layout=layout)(KEY, shape))


@pytest.mark.parametrize(
    "of_parts",
    [
        lambda init: jaxinit.composed.concatenated([init, init]),
        lambda init: 0.5 * jaxinit.composed.with_zero_row(init, 3),
        lambda init: 0.5 * jaxinit.composed.concatenated([0.5 * init, jaxinit.ones()], axis=1),
    ],
)
def test_parts_of_an_initializer_have_the_axes_of_the_call(of_parts: Any) -> None:
    own = of_parts(jaxinit.kaiming_normal(layout=Layout(batch_axis=0)))
    called = jaxinit.at_call(of_parts(jaxinit.kaiming_normal()))
    np.testing.assert_array_equal(called(KEY, (8, 6, 4), jnp.float32), own(KEY, (8, 6, 4)))


def test_experts_do_not_count_in_the_fans() -> None:
    drawn = jaxinit.at_call(jaxinit.kaiming_normal())(KEY, (8, 256, 512), jnp.bfloat16, 1, 2)
    assert drawn.dtype == jnp.bfloat16
    assert abs(float(drawn.astype(jnp.float32).std()) * math.sqrt(256 / 2) - 1) < 0.01


def test_at_call_is_a_value() -> None:
    init = jaxinit.at_call(jaxinit.normal())
    assert init == pickle.loads(pickle.dumps(init)) != jaxinit.at_call(jaxinit.uniform())
    assert hash(init) == hash(jaxinit.at_call(jaxinit.normal()))
    np.testing.assert_array_equal(init(KEY, (3,), None, 5, 6), jaxinit.normal()(KEY, (3,)))


@pytest.mark.parametrize("layout", [Layout(1, 2, batch_axis=0), Layout(-2, -1, batch_axis=0)])
def test_experts_drawn_as_maxtext_draws_them(layout: Layout) -> None:
    """MaxText 0.2.5 draws `(experts, in, out)` with in_axis 0 and out_axis 1, and its gate `(in, experts)` too."""
    init = jaxinit.at_call(jaxinit.kaiming_normal(), layout=layout)
    axes = np.arange(1), np.arange(1, 2)
    np.testing.assert_array_equal(
        init(KEY, (8, 64, 48), jnp.float32, *axes), jaxinit.kaiming_normal(layout=layout)(KEY, (8, 64, 48))
    )
    np.testing.assert_array_equal(init(KEY, (64, 8), jnp.float32, *axes), jaxinit.kaiming_normal()(KEY, (64, 8)))
    message = (
        r"the call must name the last axis of `shape` \(8, 64, 48\), got in_axis=0 and out_axis=1; for MaxText's "
        r"experts write jaxinit.at_call\(init, layout=jaxinit.Layout\(1, 2, batch_axis=0\)\)"
    )
    with pytest.raises(ValueError, match=message):
        jaxinit.at_call(jaxinit.kaiming_normal())(KEY, (8, 64, 48), jnp.float32, *axes)
    assert jaxinit.at_call(jaxinit.normal())(KEY, (8, 64, 48), jnp.float32, *axes).shape == (8, 64, 48)
    assert jaxinit.at_call(jaxinit.orthogonal(), layout="OI") == jaxinit.at_call(jaxinit.orthogonal(), jaxinit.TORCH)
    with pytest.raises(TypeError, match=r"`layout` must be a jaxinit.Layout such as jaxinit.TORCH or a text .* got 3"):
        jaxinit.at_call(jaxinit.normal(), layout=3)  # type: ignore[arg-type]  # which is refused


def test_axes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must name each axis once"):
        jaxinit.at_call(jaxinit.orthogonal())(KEY, (3, 4), None, 1, -1)
    with pytest.raises(ValueError, match="`shape` must have at least 3 dimensions"):
        jaxinit.at_call(jaxinit.orthogonal())(KEY, (3, 4), None, 1, 2)
