"""Errors: each names the argument, the rule, the value received and the values allowed."""

import math
import re
import warnings
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from hypothesis import example, given, settings
from hypothesis import strategies as st

import jaxinit
from jaxinit import TORCH
from tests.jaxinit import cases

NAN, INF = math.nan, math.inf

# Arguments as they are given, and the message that refuses them.
VALUES: list[tuple[Callable[..., object], dict[str, Any], str]] = [
    (jaxinit.uniform, {"a": NAN}, "`a` must be a number, got nan"),
    (jaxinit.uniform, {"b": NAN}, "`b` must be a number, got nan"),
    (jaxinit.uniform, {"b": INF}, "`b` must be finite, got inf"),
    (jaxinit.uniform, {"a": 1, "b": 0}, "`a` must not exceed `b`, got a=1.0 and b=0.0"),
    (jaxinit.normal, {"mean": NAN}, "`mean` must be a number, got nan"),
    (jaxinit.normal, {"mean": -INF}, "`mean` must be finite, got -inf"),
    (jaxinit.normal, {"std": -1}, "`std` must be at least 0, got -1.0"),
    (jaxinit.normal, {"std": NAN}, "`std` must be a number, got nan"),
    (jaxinit.normal, {"std": INF}, "`std` must be finite, got inf"),
    (jaxinit.trunc_normal, {"std": 0}, "`std` must be above 0, got 0.0"),
    (jaxinit.trunc_normal, {"std": -1}, "`std` must be above 0, got -1.0"),
    (jaxinit.trunc_normal, {"mean": INF}, "`mean` must be finite, got inf"),
    (jaxinit.trunc_normal, {"a": NAN}, "`a` must be a number, got nan"),
    (jaxinit.trunc_normal, {"a": 3}, "`a` must not exceed `b`, got a=3.0 and b=2.0"),
    (jaxinit.trunc_normal, {"a": INF, "b": INF}, "`a` and `b` must enclose a finite number, got a=inf and b=inf"),
    (jaxinit.constant, {"val": NAN}, "`val` must be a number, got nan"),
    (jaxinit.constant, {"val": complex(0, NAN)}, "`val` must be a number, got nan"),
    (jaxinit.xavier_uniform, {"gain": -1}, "`gain` must be at least 0, got -1.0"),
    (jaxinit.xavier_normal, {"gain": NAN}, "`gain` must be a number, got nan"),
    (jaxinit.orthogonal, {"gain": INF}, "`gain` must be finite, got inf"),
    (jaxinit.kaiming_uniform, {"a": NAN}, "`a` must be a number, got nan"),
    (jaxinit.kaiming_normal, {"a": "0"}, "`a` must be a real number, got '0'"),
    (jaxinit.kaiming_normal, {"mode": "fan_avg"}, "`mode` must be one of 'fan_in', 'fan_out', got 'fan_avg'"),
    (jaxinit.kaiming_uniform, {"mode": None}, "`mode` must be one of 'fan_in', 'fan_out', got None"),
    (jaxinit.sparse, {"sparsity": -0.1}, "`sparsity` must be between 0 and 1, got -0.1"),
    (jaxinit.sparse, {"sparsity": 1.1}, "`sparsity` must be between 0 and 1, got 1.1"),
    (jaxinit.sparse, {"sparsity": NAN}, "`sparsity` must be a number, got nan"),
    (jaxinit.sparse, {"sparsity": 0.5, "std": -1}, "`std` must be at least 0, got -1.0"),
    (jaxinit.dirac, {"groups": 0}, "`groups` must be at least 1, got 0"),
]
TYPES: list[tuple[Callable[..., object], dict[str, Any], str]] = [
    (jaxinit.uniform, {"a": "0"}, "`a` must be a real number, got '0'"),
    (jaxinit.uniform, {"a": True}, "`a` must be a real number, got True"),
    (jaxinit.normal, {"std": [1.0]}, "`std` must be a real number, got [1.0]"),
    (
        jaxinit.xavier_uniform,
        {"gain": np.ones((3, 4))},
        "`gain` must be a real number, got an array of shape (3, 4). An initializer fills no array: call it with a key "
        "and a shape",
    ),
    (jaxinit.normal, {"mean": 1j}, "`mean` must be a real number, got 1j"),
    (jaxinit.normal, {"mean": 10**400}, "`mean` must be a real number that fits in a float, got 1000"),
    (jaxinit.constant, {"val": None}, "`val` must be a real number, got None"),
    (jaxinit.constant, {"val": "one"}, "`val` must be a real number, got 'one'"),
    (jaxinit.dirac, {"groups": 2.0}, "`groups` must be an integer, got 2.0"),
    (jaxinit.dirac, {"groups": True}, "`groups` must be an integer, got True"),
    (
        jaxinit.eye,
        {"layout": (0, 1)},
        '`layout` must be a jaxinit.Layout such as jaxinit.TORCH or a text such as "HWIO", got (0, 1)',
    ),
    (jaxinit.zeros, {"dtype": "float31"}, "`dtype` must be a dtype or the name of one, got 'float31'"),
    (jaxinit.Layout, {"in_axis": 0.5}, "`in_axis` must be an integer, got 0.5"),
]


@pytest.mark.parametrize(("factory", "arguments", "message"), VALUES)
def test_a_wrong_value_is_refused_when_the_initializer_is_built(
    factory: Callable[..., object], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        factory(**arguments)


@pytest.mark.parametrize(("factory", "arguments", "message"), TYPES)
def test_a_wrong_type_is_refused_when_the_initializer_is_built(
    factory: Callable[..., object], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(TypeError, match=f"^{re.escape(message)}"):
        factory(**arguments)


def test_a_traced_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="`std` must be known when the initializer is built, got the traced value"):
        jax.jit(lambda std: jaxinit.normal(std=std)(jax.random.key(0), (2,)))(1.0)


@pytest.mark.parametrize(
    ("name", "arguments", "torch_shape"),
    [
        ("dirac", {}, (3, 4)),
        ("dirac", {}, (3, 4, 1, 1, 1, 1)),
        ("dirac", {"groups": 3}, (4, 3, 2)),
        ("eye", {}, (3, 4, 5)),
        ("eye", {}, (3,)),
        ("sparse", {"sparsity": 0.5}, (3, 4, 5)),
        ("sparse", {"sparsity": 0.5}, (3,)),
        ("orthogonal", {}, (3,)),
        ("xavier_uniform", {}, (3,)),
        ("xavier_normal", {}, ()),
        ("kaiming_uniform", {}, (3,)),
        ("kaiming_normal", {}, (3,)),
    ],
)
def test_a_shape_torch_refuses_is_refused_with_its_class(
    name: str, arguments: dict[str, Any], torch_shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - torch's words are its own
        cases.torch_function(name)(torch.zeros(torch_shape), **arguments)
    with pytest.raises(ValueError, match=r"^`(shape|groups)` must .*, got "):
        cases.FACTORIES[name](**arguments, layout=TORCH)(jax.random.key(0), torch_shape)


@pytest.mark.parametrize(
    ("init", "shape", "message"),
    [
        (jaxinit.dirac(), (3, 4), "`shape` must give weights of 3, 4 or 5 dimensions for dirac, got torch's (4, 3)"),
        (jaxinit.dirac(3), (2, 3, 4), "`groups` must divide the 4 outputs, got 3"),
        (jaxinit.eye(), (2, 3, 4), "`shape` must give weights of 2 dimensions for eye, got torch's (4, 3, 2)"),
        (jaxinit.sparse(0.5), (2, 3, 4), "`shape` must give weights of 2 dimensions for sparse, got torch's (4, 3, 2)"),
        (jaxinit.kaiming_normal(), (3,), "`shape` must have at least 2 dimensions for layout jaxinit.FLAX, got (3,)"),
    ],
)
def test_messages_about_shapes(init: jaxinit.Initializer, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        init(jax.random.key(0), shape)


@cases.each_name
def test_a_shape_that_is_no_shape_is_refused(name: str) -> None:
    init, key = cases.build(name), jax.random.key(0)
    with pytest.raises(ValueError, match=r"^`shape` must not have a negative size, got \(3, -1, 2\)"):
        init(key, (3, -1, 2))
    for shape in (3, "34", None):
        with pytest.raises(TypeError, match=f"^`shape` must be a sequence of integers, got {shape!r}"):
            init(key, shape)  # type: ignore[arg-type]  # which is refused
    for size in (2.0, "2", None, True):
        with pytest.raises(TypeError, match=f"^`shape` must be an integer, got {size!r}"):
            init(key, (3, 4, size))  # type: ignore[arg-type]  # which is refused


@pytest.mark.parametrize("name", cases.RANDOM)
def test_what_is_no_key_is_refused(name: str) -> None:
    init, shape = cases.build(name), cases.shape_of(name)
    for key in (None, 0, "key", np.zeros(2), jnp.zeros(2, jnp.int32)):
        with pytest.raises(TypeError, match=r"^`key` must be a JAX PRNG key such as jax.random.key\(0\), got "):
            init(key, shape)  # type: ignore[arg-type]  # which is refused
    for keys in (jax.random.split(jax.random.key(0), 3), jax.random.split(jax.random.PRNGKey(0), 3)):
        with pytest.raises(ValueError, match=r"^`key` must be a single key \(use jax.vmap for a batch\), got keys of"):
            init(keys, shape)


def test_rngs_of_flax_give_the_next_key_of_their_stream() -> None:
    init, shape = jaxinit.normal(), (3,)
    drawn = [init(rngs, shape) for rngs in (nnx.Rngs(0), nnx.Rngs(0).params, nnx.Rngs(params=0, dropout=1))]
    for array, key in zip(
        drawn, (nnx.Rngs(0).params(), nnx.Rngs(0).params(), nnx.Rngs(params=0).params()), strict=True
    ):
        np.testing.assert_array_equal(array, init(key, shape))
    rngs = nnx.Rngs(0)
    assert (init(rngs, shape) != init(rngs, shape)).all()
    with pytest.raises(TypeError, match=r"did you mean `normal\(\)`\?"):
        jaxinit.normal(nnx.Rngs(0))  # type: ignore[arg-type]  # which is refused


@cases.each_name
def test_so_does_one_that_is_given_torchs_generator(name: str) -> None:
    with pytest.raises(TypeError, match=rf"did you mean `{name}\(\)`\?"):
        cases.FACTORIES[name](jaxinit.TorchGenerator(0), (2, 3))


@cases.each_name
@pytest.mark.parametrize("make_key", [jax.random.key, jax.random.PRNGKey, lambda _: np.zeros(2, np.uint32)])
def test_an_uncalled_factory_says_so(name: str, make_key: Callable[[int], Any]) -> None:
    message = f"`jaxinit.{name}` builds an initializer and takes no key; did you mean `{name}()`?"
    key = make_key(0)
    for arguments in ((key, (2, 3)), (key, (2, 3), jnp.float32)):
        with pytest.raises(TypeError, match=re.escape(message)):
            cases.FACTORIES[name](*arguments)
    with pytest.raises(TypeError, match=re.escape(message)):
        cases.FACTORIES[name](key=key, shape=(2, 3))
    with pytest.raises(TypeError, match=re.escape(message)):
        jax.jit(lambda traced: cases.FACTORIES[name](traced, (2, 3)))(key)


def test_the_base_class_is_abstract() -> None:
    with pytest.raises(TypeError, match="abstract class Initializer"):
        jaxinit.Initializer()  # type: ignore[abstract]  # which is refused


GARBAGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.complex_numbers(),
    st.text(max_size=3),
    st.lists(st.integers(-3, 3), max_size=3),
    st.sampled_from([np.float32(1), np.array([1.0]), jnp.float32(2), object(), {}, "relu", "fan_out", b"x", 1e200]),
)


def only_value_or_type_error(call: Callable[..., object], *args: Any, **kwargs: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call(*args, **kwargs)
        except (ValueError, TypeError):
            return


@cases.each_name
@given(data=st.data())
@settings(deadline=None, max_examples=40)
def test_garbage_arguments_raise_nothing_but_value_and_type_errors(name: str, data: st.DataObject) -> None:
    fields = cases.FACTORIES[name].__dataclass_fields__
    arguments = {field: data.draw(GARBAGE) for field in fields if data.draw(st.booleans())}

    def build_and_draw() -> None:
        # Traced, not run: what is asked of shapes and dtypes is asked while tracing.
        jax.eval_shape(lambda key: cases.build(name, **arguments)(key, cases.shape_of(name)), jax.random.key(0))

    only_value_or_type_error(build_and_draw)


@cases.each_name
@given(shape=GARBAGE, dtype=GARBAGE)
@settings(deadline=None, max_examples=40)
def test_garbage_calls_raise_nothing_but_value_and_type_errors(name: str, shape: Any, dtype: Any) -> None:
    init, key, good_shape = cases.build(name), jax.random.key(0), cases.shape_of(name)
    only_value_or_type_error(jax.eval_shape, lambda key: init(key, shape), key)
    only_value_or_type_error(jax.eval_shape, lambda key: init(key, good_shape, dtype), key)


@pytest.mark.parametrize("name", cases.RANDOM)
@given(key=GARBAGE)
@settings(deadline=None, max_examples=20)
@example(key=2**40)
def test_garbage_keys_raise_type_error(name: str, key: Any) -> None:
    with pytest.raises(TypeError, match="`key` must be a JAX PRNG key"):
        cases.build(name)(key, cases.shape_of(name))


@pytest.mark.parametrize(
    ("shape", "error", "message"),
    [
        (np.array(3), TypeError, r"`shape` must be a sequence of integers, got array\(3\)"),
        (np.ones((2, 2), int), TypeError, "`shape` must be a sequence of integers"),
        ((1,) * 65, ValueError, "`shape` must have at most 64 dimensions, got 65"),
        (
            (2**40, 2**40),
            ValueError,
            r"`shape` must have fewer than 2\*\*63 entries, got \(1099511627776, 1099511627776\)",
        ),
    ],
)
def test_a_shape_that_no_array_can_have_is_refused(shape: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        jaxinit.normal()(jax.random.key(0), shape)
