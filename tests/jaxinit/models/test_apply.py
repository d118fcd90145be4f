"""`apply` draws what a function of each module asks for, in NNX and in Linen."""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import jaxinit
from tests import seeds
from tests.jaxinit.models.linen import test_models as linen_models
from tests.jaxinit.models.nnx import test_models as nnx_models
from tests.jaxinit.models.torch_layers import APIS

KEY = jax.random.key(seeds.fresh(__name__))
Arrays = dict[str, np.ndarray]
Fn = Callable[[Any], Any]


class Model:
    """A model of convolution, norm, two hidden layers, dropout and head, in NNX or in Linen."""

    def __init__(self, api: str) -> None:
        self.is_nnx = api == "nnx"
        self.hidden = "hidden." if self.is_nnx else "hidden_"
        self.dense = nnx.Linear if self.is_nnx else nn.Dense
        self.kinds = nnx_models.Block if self.is_nnx else linen_models.Block
        self.model: Any = nnx_models.Block(nnx.Rngs(0)) if self.is_nnx else linen_models.flaxs()

    def arrays(self) -> Arrays:
        return nnx_models.arrays(self.model) if self.is_nnx else linen_models.arrays(self.model)

    def apply(self, fn: Fn, only: Any = None) -> None:
        if self.is_nnx:
            jaxinit.nnx.apply(self.model, fn, KEY, only=only)
        else:
            self.model = jaxinit.linen.apply(linen_models.Block(), self.model, fn, KEY, linen_models.X, only=only)

    def init_weights(self, module: Any) -> Any:
        if isinstance(module, self.dense):
            return {"kernel": jaxinit.xavier_uniform(), "bias": jaxinit.constant(0.01)}
        return {"conv.kernel": jax.nn.initializers.ones} if isinstance(module, self.kinds) else None


@pytest.fixture(params=APIS)
def model(request: pytest.FixtureRequest) -> Model:
    return Model(request.param)


def changed(before: Arrays, after: Arrays) -> set[str]:
    return {path for path, array in after.items() if not np.array_equal(before[path], array)}


def test_apply_asks_every_module_and_draws_only_what_is_named(model: Model) -> None:
    before = model.arrays()
    model.apply(model.init_weights)
    after = model.arrays()
    dense = (f"{model.hidden}0", f"{model.hidden}1", "head")
    assert changed(before, after) == {f"{path}.{name}" for path in dense for name in ("kernel", "bias")} | {
        "conv.kernel"
    }
    assert (after["head.bias"] == np.float32(0.01)).all()
    assert (after["conv.kernel"] == 1).all()


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("head", {"head.kernel", "head.bias"}),
        ("HIDDEN*.bias", {"HIDDEN0.bias", "HIDDEN1.bias"}),
        ("*.kernel", {"HIDDEN0.kernel", "HIDDEN1.kernel", "head.kernel", "conv.kernel"}),
        ("norm", set()),
    ],
)
def test_only_what_matches_is_drawn(model: Model, only: str, expected: set[str]) -> None:
    before = model.arrays()
    model.apply(model.init_weights, only.replace("HIDDEN", model.hidden))
    assert changed(before, model.arrays()) == {path.replace("HIDDEN", model.hidden) for path in expected}


def three_by_three(*_: Any) -> jax.Array:
    return jnp.zeros((3, 3), jnp.int32)


@pytest.mark.parametrize(
    ("inits", "only", "error", "message"),
    [
        (
            {"kernl": jaxinit.ones()},
            None,
            ValueError,
            r"`fn` must name parameters of head \(.*\), .*kernel.*, got 'kernl'",
        ),
        (
            jaxinit.ones(),
            None,
            TypeError,
            r"`fn` must return a dict of initializers for head \(.*\), or None, got jaxinit",
        ),
        ({"kernel": 1.0}, None, TypeError, "`fn` must return a dict of initializers for head"),
        ({"bias": jaxinit.eye()}, None, ValueError, "`shape` must have"),
        ({"bias": three_by_three}, None, ValueError, r"of head\.bias must return float32\[5\], got int32\[3, 3\]"),
        (None, "haed", ValueError, "`only` must match the path of a parameter, got 'haed'. Paths are .*head"),
        (None, ["head", 3], TypeError, "`only` must be a pattern, a filter or a list of them, got 3"),
    ],
)
def test_a_wrong_answer_changes_nothing(
    model: Model, inits: Any, only: Any, error: type[Exception], message: str
) -> None:
    before = model.arrays()
    with pytest.raises(error, match=message):
        model.apply(lambda module: inits if _features(module) == 5 else None, only)
    assert not changed(before, model.arrays())


def _features(module: Any) -> Any:
    return getattr(module, "out_features", getattr(module, "features", None))


def test_fn_must_be_a_function(model: Model) -> None:
    with pytest.raises(TypeError, match=r"`fn` must be a function of a module or a dict .*, got None"):
        model.apply(None)  # type: ignore[arg-type]  # what is refused


def test_linen_modules_are_unbound_and_the_outer_one_comes_last() -> None:
    asked: list[str] = []

    def fn(module: Any) -> Any:
        asked.append(type(module).__name__)
        assert module.scope is None
        inits = {nn.Dense: {"bias": jaxinit.ones()}, linen_models.Block: {"head.bias": jaxinit.constant(2)}}
        return inits.get(type(module))

    model = Model("linen")
    model.apply(fn)
    assert (model.arrays()["head.bias"] == 2).all()
    assert (model.arrays()["hidden_0.bias"] == 1).all()
    assert asked[-1] == "Block"
    assert sorted(asked) == ["BatchNorm", "Block", "Conv", "Dense", "Dense", "Dense", "Dropout"]


@pytest.mark.parametrize("api", APIS)
def test_a_parameter_that_the_layer_could_have_is_skipped(api: str) -> None:
    def fn(module: Any) -> dict[str, jaxinit.Initializer] | None:
        kinds = nnx.Linear | nnx.LayerNorm | nn.Dense | nn.LayerNorm
        if not isinstance(module, kinds):
            return None
        names = ("kernel", "bias") if isinstance(module, nnx.Linear | nn.Dense) else ("scale", "bias")
        return dict.fromkeys(names, jaxinit.constant(0.5))

    if api == "nnx":
        model = nnx.Sequential(
            nnx.Linear(2, 3, use_bias=False, rngs=nnx.Rngs(0)), nnx.LayerNorm(3, use_bias=False, rngs=nnx.Rngs(0))
        )
        jaxinit.nnx.apply(model, fn, nnx.Rngs(0))
        drawn = jax.tree.leaves(nnx.state(model, nnx.Param))
    else:
        module, x = nn.Sequential([nn.Dense(3, use_bias=False), nn.LayerNorm(use_bias=False)]), jnp.ones((1, 2))
        drawn = jax.tree.leaves(
            jaxinit.linen.apply(module, module.init(jax.random.key(0), x), fn, jax.random.key(0), x)
        )
    assert len(drawn) == 2
    assert all((array == 0.5).all() for array in drawn)
