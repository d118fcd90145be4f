"""The options of `load` in NNX and in Linen: `rename`, `only`, `ignore` and `strict`."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx

import jaxinit

X = jnp.zeros((1, 3))
Arrays = Mapping[str, np.ndarray]
Load = Callable[..., tuple[Arrays, Any]]
STATE: dict[str, Any] = {
    "token": np.full(3, 2.0),
    "body.weight": np.full((4, 3), 3.0),
    "body.bias": np.full(4, 4.0),
    "head.weight": np.full((2, 4), 5.0),
    "head.bias": np.full(2, 6.0),
}


class NNXNet(nnx.Module):
    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.token = nnx.Param(jnp.zeros(3))
        self.body, self.head = nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)


class LinenNet(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = nn.Dense(4, name="body")(x + self.param("token", nn.initializers.zeros, (3,))[None])
        return nn.Dense(2, name="head")(y)


def into_nnx(state: Any, **options: Any) -> tuple[Arrays, Any]:
    model = NNXNet()
    matched = jaxinit.nnx.load(model, state, **options)
    return {
        ".".join(map(str, path)): np.asarray(leaf[...]) for path, leaf in nnx.to_flat_state(nnx.state(model))
    }, matched


def into_linen(state: Any, **options: Any) -> tuple[Arrays, Any]:
    module = LinenNet()
    variables, matched = jaxinit.linen.load(module, module.init(jax.random.key(0), X), state, X, **options)
    leaves = jax.tree.leaves_with_path(variables["params"])
    return {jax.tree_util.keystr(path, simple=True, separator="."): np.asarray(leaf) for path, leaf in leaves}, matched


both = pytest.mark.parametrize("load", [into_nnx, into_linen], ids=["nnx", "linen"])


@both
@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "_orig_mod.module.", "model.", "net.encoder."])
def test_a_prefix_is_named_with_the_line_that_removes_it(load: Load, prefix: str) -> None:
    state = {prefix + name: array for name, array in STATE.items()}
    with pytest.raises(ValueError, match=r"missing body\.weight") as raised:
        load(state)
    *_, last = str(raised.value).splitlines()
    assert last.startswith(f"Every name in `state` has the prefix {prefix!r}.")
    rename = eval(last.partition("rename=")[2])  # the line is to be copied into a program
    _, matched = load(state, rename=rename)
    assert matched["body.kernel"] == ("body.weight",)


@both
def test_no_prefix_is_named_where_removing_it_does_not_help(load: Load) -> None:
    for state in ({f"model.{name}.x": array for name, array in STATE.items()}, {**STATE, "extra": np.ones(1)}, {}):
        with pytest.raises(ValueError, match="does not fit") as raised:
            load(state)
        assert "prefix" not in str(raised.value)


@both
@pytest.mark.parametrize(
    "rename",
    [
        lambda name: name.replace("fc1", "body").replace("fc2", "head"),
        {
            f"{old}.{own}": f"{new}.{own}"
            for old, new in (("fc1", "body"), ("fc2", "head"))
            for own in ("weight", "bias")
        },
        [("^fc1", "body"), (r"^fc2\.(.*)", r"head.\1")],
    ],
    ids=["function", "dict", "pairs"],
)
def test_rename(load: Load, rename: Any) -> None:
    state = {name.replace("body", "fc1").replace("head", "fc2"): array for name, array in STATE.items()}
    values, _ = load(state, rename=rename)
    assert {name: array.flat[0] for name, array in values.items()} == {
        "token": 2,
        "body.kernel": 3,
        "body.bias": 4,
        "head.kernel": 5,
        "head.bias": 6,
    }


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"rename": 3}, TypeError, "`rename` must be a function, a dict or pairs"),
        ({"rename": [("(", "")]}, TypeError, "`rename` must be a function, a dict or pairs"),
        ({"rename": lambda _: None}, TypeError, "`rename` must return a name as a string, got None for 'token'"),
        ({"rename": lambda _: "a"}, ValueError, "must give each tensor its own name, got 'a' for 'token' and 'body.w"),
        ({"only": 3}, TypeError, "`only` must be a pattern, a filter or a list of them, got 3"),
        ({"ignore": ["head", 3]}, TypeError, "`ignore` must be a pattern, a filter or a list of them, got 3"),
        ({"ignore": "heed"}, ValueError, "`ignore` must match a parameter or tensor, got 'heed'. Names are body.bias,"),
        ({"only": ["head", "heed"]}, ValueError, "`only` must match a parameter or tensor, got 'heed'"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        into_nnx(STATE, **options)


@both
@pytest.mark.parametrize(
    ("options", "loaded"),
    [
        ({"only": "token"}, {"token"}),
        ({"only": ["token", "head.bias"]}, {"token", "head.bias"}),
        ({"only": "*.weight"}, {"body.kernel", "head.kernel"}),
        ({"ignore": "head"}, {"token", "body.kernel", "body.bias"}),
        ({"only": ["body", "head"], "ignore": "*.bias"}, {"body.kernel", "head.kernel"}),
    ],
)
def test_only_what_is_selected_is_loaded(load: Load, options: dict[str, Any], loaded: set[str]) -> None:
    state = {**STATE, "head.weight": np.ones((10, 4))} if "head.kernel" not in loaded else STATE
    values, matched = load(state, **options)
    assert set(matched) == loaded
    assert {name for name, array in values.items() if array.flat[0] == array.flat[-1] >= 2} == loaded


@both
def test_what_is_selected_must_fit(load: Load) -> None:
    with pytest.raises(ValueError, match=r"missing body\.bias, of shape \(4,\)$"):
        load({name: array for name, array in STATE.items() if "bias" not in name}, only="body")
    with pytest.raises(ValueError, match=r"unexpected body\.extra"):
        load({**STATE, "body.extra": np.ones(1)}, ignore="head")
    load({**STATE, "body.extra": np.ones(1)}, ignore="body.extra")


@both
def test_not_strict_loads_what_fits_and_says_what_does_not(load: Load) -> None:
    state = {**STATE, "head.weight": np.ones((10, 4)), "extra": np.ones(1)}
    del state["body.bias"]
    values, matched = load(state, strict=False)
    assert set(matched) == {"token", "body.kernel", "head.bias"}
    assert set(matched.problems) == {
        "missing body.bias, of shape (4,)",
        "head.weight must have shape (2, 4), got (10, 4)",
        "unexpected extra, of shape (1,)",
    }
    assert (values["head.bias"] == 6).all()
    assert not (values["head.kernel"] == 1).any()
    assert load(STATE, strict=False)[1].problems == ()


@both
def test_not_strict_refuses_a_state_of_which_nothing_fits(load: Load) -> None:
    with pytest.raises(ValueError, match=r"has the prefix 'module\.'"):
        load({f"module.{name}": array for name, array in STATE.items()}, strict=False)


def test_a_query_alone_of_packed_attention() -> None:
    theirs = torch.nn.MultiheadAttention(8, 2)
    torch.nn.init.normal_(theirs.in_proj_bias)
    ours = nnx.MultiHeadAttention(2, 8, decode=False, rngs=nnx.Rngs(0))
    matched = jaxinit.nnx.load(ours, theirs.state_dict(), only="query")
    assert matched == {"query.kernel": ("in_proj_weight",), "query.bias": ("in_proj_bias",)}
    np.testing.assert_array_equal(ours.query.kernel[...].reshape(8, 8).T, theirs.in_proj_weight.detach()[:8])


def test_a_stack_is_loaded_as_a_whole() -> None:
    class Layer(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, _: None) -> tuple[jax.Array, None]:
            return nn.Dense(3, name="fc")(x), None

    module = nn.scan(Layer, variable_axes={"params": 0}, split_rngs={"params": True}, length=2)()
    own = module.init(jax.random.key(0), X, None)
    state = {f"{i}.fc.{name}": array for i in (0, 1) for name, array in torch.nn.Linear(3, 3).state_dict().items()}
    with pytest.raises(ValueError, match=r"fc\.kernel holds 2 layers and is loaded as a whole, got 1"):
        jaxinit.linen.load(module, own, state, X, None, only="1")
    del state["1.fc.weight"]
    _, matched = jaxinit.linen.load(module, own, state, X, None, strict=False)
    assert set(matched) == {"0.fc.bias", "1.fc.bias"}
    assert matched.problems[-1] == "fc.kernel holds 2 layers and is loaded as a whole, got 1"


@both
@pytest.mark.parametrize(
    ("chosen", "loaded"),
    [
        ({"only": nnx.PathContains("head")}, {"head.kernel", "head.bias"}),
        ({"only": ["token", lambda path, _: path[-1] == "bias"]}, {"token", "body.bias", "head.bias"}),
        ({"ignore": lambda _, array: array.ndim == 2}, {"token", "body.bias", "head.bias"}),
    ],
)
def test_filters_of_flax(load: Load, chosen: dict[str, Any], loaded: set[str]) -> None:
    assert set(load(STATE, **chosen)[1]) == loaded


def test_filters_by_the_type_of_a_variable() -> None:
    model = nnx.Sequential(nnx.Linear(2, 3, rngs=nnx.Rngs(0)), nnx.BatchNorm(3, rngs=nnx.Rngs(0)))
    state = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).state_dict()
    assert set(jaxinit.nnx.load(model, state, only=nnx.BatchStat)) == {"layers.1.mean", "layers.1.var"}
    linear: Any
    norm: Any
    linear, norm = model.layers

    def fill(module: Any) -> Any:
        return {"bias": jaxinit.constant(7)} if hasattr(module, "bias") else None

    jaxinit.nnx.apply(model, fill, nnx.Rngs(0), only=[lambda path, _: path[1] == 1, "*.kernel"])
    assert (norm.bias[...] == 7).all()
    assert (linear.bias[...] != 7).all()


def test_matrices_that_torch_has_transposed() -> None:
    theirs = {
        "c_attn.weight": np.ones((4, 12)),
        "c_proj.weight": np.arange(16.0).reshape(4, 4),
        "c_proj.bias": np.ones(4),
    }
    model = nnx.Dict(
        c_attn=nnx.Linear(4, 12, use_bias=False, rngs=nnx.Rngs(0)), c_proj=nnx.Linear(4, 4, rngs=nnx.Rngs(0))
    )
    with pytest.raises(
        ValueError, match=r"as Conv1D .*: c_attn\.weight\. Square tensors fit both ways: c_proj\.weight\. "
    ):
        jaxinit.nnx.load(model, theirs)
    for transposed in ("*", ["c_attn", "c_proj"], ["*.weight"]):
        jaxinit.nnx.load(model, theirs, transposed=transposed)
        np.testing.assert_array_equal(model.c_proj.kernel[...], theirs["c_proj.weight"])
        back = jaxinit.nnx.state_dict(model, transposed=transposed)
        assert back.keys() == theirs.keys()
        assert all((back[name] == theirs[name]).all() for name in theirs)
    with pytest.raises(ValueError, match="`transposed` must match a parameter or tensor, got 'x'"):
        jaxinit.nnx.load(model, theirs, transposed="x")
