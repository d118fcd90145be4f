"""Initializers are values: they compare, hash, print, pickle and never change."""

import copy
import dataclasses
import inspect
import math
import os
import pickle
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit import TORCH, Layout
from tests.jaxinit import cases

NAMESPACE = {"jaxinit": jaxinit}

# For every initializer its case, and a few with arguments worth printing.
VALUES: list[jaxinit.Initializer] = [
    *(cases.build(name) for name in cases.NAMES),
    *(cases.build(name, dtype=jnp.bfloat16) for name in cases.NAMES),
    *(cases.build(name, layout=Layout((0, 1), 2, -1), dtype="float16") for name in cases.WITH_LAYOUT),
    jaxinit.trunc_normal(a=0.1, b=math.inf),
    jaxinit.trunc_normal(a=-math.inf),
    jaxinit.kaiming_normal(math.sqrt(5), "fan_out", "relu", layout=TORCH),
    jaxinit.constant(1 + 2j),
    jaxinit.constant(2**60 + 1),
    jaxinit.constant(-0.0),
    jaxinit.constant(math.inf),
    jaxinit.zeros(dtype=jnp.float8_e4m3fn),
    jaxinit.normal(dtype="float64"),
    *(-0.5 * cases.build(name, dtype=jnp.bfloat16) for name in cases.NAMES),
    *(cases.build(name, layout=TORCH) / math.sqrt(24) for name in cases.WITH_LAYOUT),
    0.1 * jaxinit.composed.with_zero_row(jaxinit.normal(), 0) / 3,
]


@pytest.mark.parametrize("init", VALUES, ids=repr)
def test_repr_is_the_call_that_builds_it(init: jaxinit.Initializer) -> None:
    rebuilt = eval(repr(init), NAMESPACE)
    assert rebuilt == init
    assert hash(rebuilt) == hash(init)
    assert repr(rebuilt) == repr(init)


@pytest.mark.parametrize("init", VALUES, ids=repr)
def test_copies_are_equal(init: jaxinit.Initializer) -> None:
    for duplicate in (
        copy.copy(init),
        copy.deepcopy(init),
        pickle.loads(pickle.dumps(init)),
        dataclasses.replace(init),
    ):
        assert duplicate == init
        assert hash(duplicate) == hash(init)
        assert vars(duplicate) == vars(init)


def test_no_two_of_them_are_equal() -> None:
    assert len(set(VALUES)) == len(VALUES)
    for index, init in enumerate(VALUES):
        assert VALUES.index(init) == index


def test_an_initializer_equals_nothing_else() -> None:
    assert jaxinit.zeros() != jaxinit.constant(0.0)
    assert jaxinit.uniform() != "jaxinit.uniform(a=0.0, b=1.0)"
    assert jaxinit.constant(0.0) != jaxinit.constant(-0.0)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (jaxinit.uniform(0, 1), jaxinit.uniform()),
        (cases.build("uniform", a=np.float32(0.5)), jaxinit.uniform(0.5)),
        (jaxinit.uniform(b=jnp.float32(2)), jaxinit.uniform(b=2)),
        (cases.build("kaiming_normal", mode="FAN_OUT"), jaxinit.kaiming_normal(mode="fan_out")),
        (cases.build("dirac", groups=np.int64(2)), jaxinit.dirac(2)),
        (jaxinit.zeros(dtype="bfloat16"), jaxinit.zeros(dtype=jnp.bfloat16)),
        (jaxinit.eye(layout=Layout(np.array([1]), [0], ())), jaxinit.eye(layout=TORCH)),
        (jaxinit.constant(True), jaxinit.constant(1.0)),
        (jaxinit.constant(3 + 0j), jaxinit.constant(3)),
    ],
)
def test_equal_arguments_in_other_clothes_make_equal_values(
    left: jaxinit.Initializer, right: jaxinit.Initializer
) -> None:
    assert left == right
    assert hash(left) == hash(right)
    assert pickle.dumps(left) == pickle.dumps(right)


def test_hash_and_pickle_agree_across_processes() -> None:
    program = (
        "import sys, pickle, jaxinit; values = [eval(line) for line in sys.stdin];"
        "print([(hash(v), hash(getattr(v, 'layout', 0)), pickle.dumps(v).hex()) for v in values])"
    )
    outputs = [
        subprocess.run(
            [sys.executable, "-c", program],
            input="\n".join(map(repr, VALUES)),
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for hash_seed in ("1", "2")
    ]
    assert outputs[0] == outputs[1]
    assert [row[0] for row in eval(outputs[0])] == list(map(hash, VALUES))


@cases.each_name
def test_is_jaxs_own_kind_of_initializer(name: str) -> None:
    init = cases.build(name)
    assert isinstance(init, jaxinit.Initializer)
    assert isinstance(init, jax.nn.initializers.Initializer)
    protocol = list(inspect.signature(jax.nn.initializers.Initializer.__call__).parameters)
    assert list(inspect.signature(type(init).__call__).parameters)[: len(protocol)] == protocol


@cases.each_name
def test_is_frozen(name: str) -> None:
    init = cases.build(name)
    for field in dataclasses.fields(init):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(init, field.name, 1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        init.anything = 1  # type: ignore[attr-defined]  # which is refused


@cases.each_name
def test_signature_is_torchs(name: str) -> None:
    ours = inspect.signature(cases.FACTORIES[name]).parameters.values()
    theirs = inspect.signature(cases.torch_function(name)).parameters.values()
    positional = [(p.name, p.default) for p in ours if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert positional == [(p.name, p.default) for p in theirs if p.name not in ("tensor", "generator")]
    keywords = {p.name: p.default for p in ours if p.kind is p.KEYWORD_ONLY}
    assert keywords == {"dtype": None} | ({"layout": jaxinit.FLAX} if "layout" in keywords else {})
    assert len(ours) == len(positional) + len(keywords)


def test_every_function_of_torch_has_its_initializer() -> None:
    theirs = {
        name[:-1]
        for name, value in vars(torch.nn.init).items()
        if name.endswith("_") and not name.startswith("_") and inspect.isfunction(value)
    }
    assert theirs == set(cases.NAMES)


def test_those_that_look_at_axes_take_a_layout() -> None:
    assert set(cases.NAMES) - set(cases.WITH_LAYOUT) == {
        "uniform", "normal", "trunc_normal", "constant", "zeros", "ones"
    }  # fmt: skip


@cases.each_name
def test_dtype_of_the_call_wins_over_its_own_over_the_default(name: str) -> None:
    def drawn_in(init: jaxinit.Initializer, dtype: str | None = None) -> Any:
        return jax.eval_shape(lambda key: init(key, cases.shape_of(name), dtype), jax.random.key(0)).dtype

    assert drawn_in(cases.build(name)) == jnp.float32
    assert drawn_in(cases.build(name, dtype="bfloat16")) == jnp.bfloat16
    assert drawn_in(cases.build(name, dtype="bfloat16"), "float16") == jnp.float16
    with jax.enable_x64(True):
        assert drawn_in(cases.build(name)) == jnp.float64
        assert drawn_in(cases.build(name, dtype="bfloat16"), "float32") == jnp.float32


@cases.each_name
def test_shapes_may_be_lists_and_numpy_arrays(name: str) -> None:
    init, key, shape = cases.build(name), jax.random.key(0), cases.shape_of(name)
    forms: list[Any] = [shape, list(shape), np.array(shape), tuple(np.int64(size) for size in shape)]
    results = [init(key, form) for form in forms]
    for result in results:
        cases.assert_same(name, result, results[0])


def test_numbers_of_every_library_are_one_number() -> None:
    single: Any = np.float32(0.5)
    half: Any = jnp.asarray(0.5)
    whole: Any = np.int64(2**53 + 1)
    imaginary: Any = np.array(1 + 2j)
    same: list[tuple[Any, Any]] = [
        (jaxinit.normal(std=single), jaxinit.normal(std=0.5)),
        (jaxinit.normal(std=half), jaxinit.normal(std=0.5)),
        (jaxinit.uniform(-0.0, 1), jaxinit.uniform(0.0, 1.0)),
        (jaxinit.kaiming_uniform(nonlinearity=np.str_("relu")), jaxinit.kaiming_uniform(nonlinearity="relu")),
        (jaxinit.constant(whole).val, 2**53 + 1),
        (jaxinit.constant(imaginary), jaxinit.constant(1 + 2j)),
        (jaxinit.kaiming_normal(a=None).distribution((50, 9)), jaxinit.kaiming_normal(a=0.01).distribution((50, 9))),
    ]
    for one, other in same:
        assert one == other


@pytest.mark.parametrize("value", [np.array(True), np.complex64(1 + 2j), np.array("1"), [[1], [1, 2]]], ids=repr)
def test_what_only_converts_to_a_number_is_none(value: Any) -> None:
    with pytest.raises(TypeError, match="`std` must be a real number"):
        jaxinit.normal(std=value)
