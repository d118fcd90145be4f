"""Whole Equinox models: which numbers go where, and what stays as it was."""

import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from jax.sharding import AxisType, NamedSharding, PartitionSpec

import jaxinit
from jaxinit import TorchGenerator
from jaxinit.distributions import Uniform
from tests import seeds
from tests.jaxinit.draws import assert_drawn
from tests.jaxinit.models.equinox.test_layers import arrays
from tests.jaxinit.torch_generator.torch_streams import as_on_avx2, assert_same_state

KEY = jax.random.key(seeds.fresh(__name__))
WITH_STATE = eqx.nn.make_with_state


class Block(eqx.Module):
    """A module of each common kind."""

    conv: eqx.nn.Conv2d
    norm: eqx.nn.BatchNorm
    hidden: list[eqx.nn.Linear]
    dropout: eqx.nn.Dropout
    head: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.conv = eqx.nn.Conv2d(3, 8, 3, key=key)
        self.norm = eqx.nn.BatchNorm(8, "batch", mode="batch")
        self.hidden = [eqx.nn.Linear(8, 8, key=key), eqx.nn.Linear(8, 8, key=key)]
        self.dropout = eqx.nn.Dropout(0.5)
        self.head = eqx.nn.Linear(8, 5, key=key)


class TorchBlock(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = torch.nn.Conv2d(3, 8, 3), torch.nn.BatchNorm2d(8)
        self.hidden = torch.nn.ModuleList(torch.nn.Linear(8, 8) for _ in range(2))
        self.head = torch.nn.Linear(8, 5)


class Own(eqx.Module):
    """A layer without a rule."""

    gain: jax.Array
    linear: eqx.nn.Linear
    steps: jax.Array

    def __init__(self, key: jax.Array) -> None:
        self.gain = jax.random.normal(key, (3,))
        self.linear = eqx.nn.Linear(2, 2, key=key)
        self.steps = jnp.array(7)


def changed(before: Any, after: Any) -> set[str]:
    old = arrays(before)
    return {path for path, array in arrays(after).items() if not np.array_equal(old[path], array)}


def test_every_parameter_is_torchs_and_the_model_given_is_unchanged() -> None:
    given = WITH_STATE(Block)(KEY)
    filled = jax.tree.map(lambda leaf: jnp.full_like(leaf, 3) if eqx.is_inexact_array(leaf) else leaf, given)
    drawn = arrays(jaxinit.equinox.reset_parameters(filled, KEY))
    for path, fan_in in {"conv.weight": 27, "conv.bias": 27, "hidden.0.weight": 8, "head.bias": 8}.items():
        assert_drawn(drawn[path], Uniform(-(fan_in**-0.5), fan_in**-0.5))
    for path, value in {"norm.weight": 1, "norm.bias": 0, "norm.running_mean": 0, "norm.running_var": 1}.items():
        assert (drawn[path] == value).all()
    assert all((array == 3).all() for array in arrays(filled).values())


def test_a_layers_numbers_do_not_depend_on_other_layers() -> None:
    class More(Block):
        first: eqx.nn.Linear

        def __init__(self, key: jax.Array) -> None:
            super().__init__(key)
            self.first = eqx.nn.Linear(2, 2, key=key)

    one = arrays(jaxinit.equinox.reset_parameters(WITH_STATE(Block)(KEY), KEY))
    other = arrays(jaxinit.equinox.init(WITH_STATE(More), KEY))
    for path, array in one.items():
        np.testing.assert_array_equal(other[path], array)
    assert not np.array_equal(one["hidden.0.weight"], one["hidden.1.weight"])


def test_init_is_build_and_reset_in_one_with_the_same_structure() -> None:
    built = WITH_STATE(Block)(KEY)
    model = jaxinit.equinox.init(WITH_STATE(Block), KEY)
    assert str(jax.tree.structure(model)) == str(jax.tree.structure(built))
    assert not changed(model, jaxinit.equinox.reset_parameters(built, KEY))


def test_init_draws_nothing_twice_and_keeps_what_has_no_rule() -> None:
    def draw(shape: tuple[int, ...]) -> np.ndarray:
        drawn.append(shape)
        return np.zeros(shape, np.float32)

    def build(key: jax.Array) -> Own:
        model = Own(key)
        own = jax.pure_callback(lambda: draw((2, 2)), jax.ShapeDtypeStruct((2, 2), jnp.float32))
        gain = jax.pure_callback(lambda: draw((3,)) + 5, jax.ShapeDtypeStruct((3,), jnp.float32))
        changed: Own = eqx.tree_at(lambda model: (model.linear.weight, model.gain), model, (own, gain))
        return changed

    drawn: list[tuple[int, ...]] = []
    with pytest.warns(UserWarning, match=r"no initialization rule for gain\. .* with jaxinit\.equinox\.register$"):
        model = jaxinit.equinox.init(build, KEY)
    assert drawn == [(3,)]
    assert (model.gain == 5).all()
    assert model.steps == 7
    assert model.linear.weight.any()


def test_it_runs_under_jit_with_the_same_numbers() -> None:
    model = jaxinit.equinox.init(WITH_STATE(Block), KEY)
    jitted = eqx.filter_jit(lambda key: jaxinit.equinox.init(WITH_STATE(Block), key))(KEY)
    again = eqx.filter_jit(jaxinit.equinox.reset_parameters)(model, KEY)
    assert not changed(model, jitted)
    assert not changed(model, again)


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
def test_a_models_sharding_is_kept(kind: AxisType) -> None:
    sharding = NamedSharding(jax.make_mesh((8,), ("x",), axis_types=(kind,)), PartitionSpec("x"))
    model = eqx.nn.Linear(4, 16, key=KEY)
    alone = jaxinit.equinox.reset_parameters(model, KEY)
    model = jax.tree.map(lambda leaf: jax.device_put(leaf, sharding), model)
    for new in (
        jaxinit.equinox.reset_parameters(model, KEY),
        eqx.filter_jit(jaxinit.equinox.reset_parameters)(model, KEY),
        jaxinit.equinox.apply(model, lambda _: {"weight": jax.nn.initializers.ones}, KEY),
        jaxinit.equinox.load(model, jaxinit.equinox.state_dict(alone))[0],
    ):
        assert new.weight.sharding.is_equivalent_to(sharding, 2)
    assert not changed(alone, jaxinit.equinox.reset_parameters(model, KEY))


def test_a_model_is_drawn_on_the_devices_that_jit_asks_for() -> None:
    sharding = NamedSharding(jax.make_mesh((8,), ("x",), axis_types=(AxisType.Auto,)), PartitionSpec("x"))

    def build(key: jax.Array) -> eqx.nn.Linear:
        return jaxinit.equinox.init(lambda key: eqx.nn.Linear(4, 16, key=key), key)

    model = jax.jit(build, out_shardings=sharding)(KEY)
    assert model.weight.addressable_shards[0].data.shape == (2, 4)
    assert not changed(build(KEY), model)


def test_dtypes_are_kept() -> None:
    model = eqx.nn.Linear(4, 4, dtype=jnp.bfloat16, key=KEY)
    assert jaxinit.equinox.reset_parameters(model, KEY).weight.dtype == jnp.bfloat16
    loaded, _ = jaxinit.equinox.load(model, {"weight": np.ones((4, 4)), "bias": np.ones(4)})
    assert loaded.bias is not None
    assert loaded.bias.dtype == jnp.bfloat16


@as_on_avx2
def test_a_model_is_torchs_from_torchs_seed(seed: int) -> None:
    ours = jaxinit.equinox.init(WITH_STATE(Block), first := TorchGenerator(seed))
    again = jaxinit.equinox.reset_parameters(WITH_STATE(Block)(KEY), second := TorchGenerator(seed))
    expected = torch.manual_seed(seed)
    theirs = TorchBlock().state_dict()
    for generator, model in ((first, ours), (second, again)):
        assert_same_state(generator, expected)
        state = jaxinit.equinox.state_dict(model, names=list(theirs))
        for name, array in state.items():
            np.testing.assert_array_equal(array, theirs[name].numpy(), err_msg=name)


@as_on_avx2
def test_apply_draws_torchs_numbers_module_by_module(seed: int) -> None:
    def init_weights(module: eqx.Module) -> Any:
        if isinstance(module, eqx.nn.Linear | eqx.nn.Conv):
            return {"weight": jaxinit.xavier_normal(), "bias": jaxinit.normal(std=0.01)}
        return None

    def torch_init_weights(module: torch.nn.Module) -> None:
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d):
            torch.nn.init.xavier_normal_(module.weight)
            assert module.bias is not None
            torch.nn.init.normal_(module.bias, std=0.01)

    model = jaxinit.equinox.apply(WITH_STATE(Block)(KEY), init_weights, generator := TorchGenerator(seed))
    theirs = TorchBlock()
    expected = torch.manual_seed(seed)
    theirs.apply(torch_init_weights)
    assert_same_state(generator, expected)
    for name, array in jaxinit.equinox.state_dict(model, names=list(theirs.state_dict())).items():
        np.testing.assert_array_equal(array, theirs.state_dict()[name].numpy(), err_msg=name)


@as_on_avx2
def test_an_order_of_torchs_names(seed: int) -> None:
    class Layers(eqx.Module):
        layers: dict[str, eqx.nn.Linear]

    model = Layers({name: eqx.nn.Linear(2, 3, key=KEY) for name in "ab"})
    with pytest.raises(ValueError, match="`order` must give torch's names, got None for layers, a dict, whose keys"):
        jaxinit.equinox.reset_parameters(model, TorchGenerator(seed))
    model = jaxinit.equinox.reset_parameters(model, TorchGenerator(seed), order=["layers.b", "layers.a"])
    torch.manual_seed(seed)
    for name in "ba":
        np.testing.assert_array_equal(model.layers[name].weight, torch.nn.Linear(2, 3).weight.detach())


def test_what_a_function_or_a_pattern_asks_for() -> None:
    model = jaxinit.equinox.init(WITH_STATE(Block), KEY)

    def init_weights(module: eqx.Module) -> Any:
        asked.append(type(module).__name__)
        return {"weight": jaxinit.ones(), "bias": jaxinit.zeros()} if isinstance(module, eqx.nn.Linear) else None

    asked: list[str] = []
    new = jaxinit.equinox.apply(model, init_weights, KEY, only=lambda model: (model.head, model.hidden[0].bias))
    assert changed(model, new) == {"head.weight", "head.bias", "hidden.0.bias"}
    assert asked == ["Conv2d", "BatchNorm", "Linear", "Linear", "Dropout", "Linear", "Block"]
    new = jaxinit.equinox.apply(model, {"hidden.*.bias": jaxinit.constant(9), "norm.*": jaxinit.constant(9)}, KEY)
    assert changed(model, new) == {
        "hidden.0.bias", "hidden.1.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var",
    }  # fmt: skip


def test_a_fan_is_torchs_whatever_layout_an_initializer_has() -> None:
    model = eqx.nn.Conv2d(4, 64, 3, key=KEY)
    new = jaxinit.equinox.apply(model, {"weight": jaxinit.kaiming_uniform(nonlinearity="linear")}, KEY)
    bound = (3 / 36) ** 0.5
    expected = jaxinit.equinox.apply(model, {"weight": jaxinit.uniform(-bound, bound)}, KEY)
    np.testing.assert_array_equal(new.weight, expected.weight)


def test_groups_of_a_transposed_convolution_have_torchs_fans() -> None:
    model = eqx.nn.ConvTranspose2d(8, 32, 3, groups=4, key=KEY)
    new = jaxinit.equinox.apply(model, {"weight": jaxinit.xavier_uniform()}, KEY)
    fans = torch.nn.init._calculate_fan_in_and_fan_out(torch.nn.ConvTranspose2d(8, 32, 3, groups=4).weight)
    bound = (6 / sum(fans)) ** 0.5
    expected = jaxinit.equinox.apply(model, {"weight": jaxinit.uniform(-bound, bound)}, KEY)
    np.testing.assert_array_equal(new.weight, expected.weight)
    stacked = eqx.filter_vmap(lambda key: eqx.nn.ConvTranspose2d(8, 32, 3, groups=4, key=key))(jax.random.split(KEY, 2))
    weights = np.asarray(jaxinit.equinox.apply(stacked, {"weight": jaxinit.orthogonal()}, KEY).weight)
    for weight in weights:
        torchs = jaxinit.equinox.state_dict(eqx.tree_at(lambda layer: layer.weight, model, weight))["weight"]
        matrix = torchs.reshape(8, -1)
        np.testing.assert_allclose(matrix @ matrix.T, np.eye(8), atol=1e-5)


def test_rules_of_users() -> None:
    class Mine(Own):
        def __init__(self, key: jax.Array) -> None:
            super().__init__(key)

    jaxinit.equinox.register(Mine, lambda _: {"gain": jaxinit.ones(), "linear.bias": jaxinit.constant(2.0)})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = jaxinit.equinox.init(Mine, KEY)
    assert (model.gain == 1).all()
    assert model.linear.bias is not None
    assert (model.linear.bias == 2).all()
    assert 0 < abs(model.linear.weight).max() <= 2**-0.5


def test_a_recipe_is_drawn() -> None:
    recipe = jaxinit.record(lambda: torch.nn.Linear(2, 3))
    model, names = jaxinit.equinox.load(eqx.nn.Linear(2, 3, key=KEY), recipe, key=KEY)
    assert names == {"weight": ("weight",), "bias": ("bias",)}
    np.testing.assert_array_equal(model.weight, recipe.sample(KEY)["weight"])


def test_names_for_torch_are_paths() -> None:
    class Net(eqx.Module):
        ln_1: eqx.nn.LayerNorm
        layers: list[eqx.nn.Linear]
        head: eqx.nn.Sequential

    linear = eqx.nn.Linear(2, 2, use_bias=False, key=KEY)
    model = Net(eqx.nn.LayerNorm(2, use_bias=False), [linear, linear], eqx.nn.Sequential([linear]))
    names = ["ln_1.weight", "layers.0.weight", "layers.1.weight", "head.0.weight"]
    assert list(jaxinit.equinox.state_dict(model)) == names
    assert list(jaxinit.equinox.initializers(model)) == names
    state = {name: np.ones(2) if name == "ln_1.weight" else np.ones((2, 2)) for name in names}
    _, matched = jaxinit.equinox.load(model, state)
    assert matched == {name: (name,) for name in names}


class Tied(eqx.Module):
    shared: eqx.nn.Shared

    def __init__(self, key: jax.Array) -> None:
        parts = eqx.nn.Embedding(7, 3, key=key), eqx.nn.Linear(3, 7, key=key)
        self.shared = eqx.nn.Shared(parts, lambda parts: parts[1].weight, lambda parts: parts[0].weight)


RENAME = {"wte.weight": "shared.0.weight", "head.weight": "shared.1.weight", "head.bias": "shared.1.bias"}


def test_a_tied_weight_has_both_names_in_torch() -> None:
    theirs: Any = torch.nn.ModuleDict({"wte": torch.nn.Embedding(7, 3), "head": torch.nn.Linear(3, 7)})
    theirs["head"].weight = theirs["wte"].weight
    model = jaxinit.equinox.init(Tied, KEY)
    inits = jaxinit.equinox.initializers(model)
    assert inits.keys() == {"shared.0.weight", "shared.1.bias"}
    assert inits["shared.1.bias"] == jaxinit.defaults.linear(3)["bias_init"]
    model, names = jaxinit.equinox.load(model, theirs.state_dict(), rename=RENAME)
    assert names == {"shared.0.weight": ("shared.0.weight",), "shared.1.bias": ("shared.1.bias",)}
    head = model.shared()[1]
    np.testing.assert_array_equal(head.weight, theirs["wte"].weight.detach())
    state = jaxinit.equinox.state_dict(model, names=list(theirs.state_dict()), rename=RENAME)
    for name, tensor in theirs.state_dict().items():
        np.testing.assert_array_equal(state[name], tensor)
    other: Any = {**theirs.state_dict(), "head.weight": torch.zeros(7, 3)}
    with pytest.raises(ValueError, match=r"shared\.1\.weight and shared\.0\.weight must be equal"):
        jaxinit.equinox.load(model, other, rename=RENAME)


class TiedNet(eqx.Module):
    """torch draws the head last, and then ties it."""

    tied: Tied
    norm: eqx.nn.Linear

    def __init__(self, key: jax.Array) -> None:
        self.tied, self.norm = Tied(key), eqx.nn.Linear(3, 3, key=key)


@as_on_avx2
@pytest.mark.parametrize("is_last", [False, True])
def test_torch_draws_a_weight_before_it_ties_it(is_last: bool, seed: int) -> None:
    expected = torch.manual_seed(seed)
    wte = torch.nn.Embedding(7, 3)
    if is_last:
        norm, head = torch.nn.Linear(3, 3), torch.nn.Linear(3, 7)
        order = ["tied.shared.0", "norm", "tied.shared.1"]
    else:
        head, norm = torch.nn.Linear(3, 7), torch.nn.Linear(3, 3)
        order = None
    model = jaxinit.equinox.init(TiedNet, generator := TorchGenerator(seed), order=order)
    assert_same_state(generator, expected)
    table, ours = model.tied.shared()
    np.testing.assert_array_equal(table.weight, wte.weight.detach())
    np.testing.assert_array_equal(ours.weight, wte.weight.detach())
    np.testing.assert_array_equal(ours.bias, head.bias.detach())
    np.testing.assert_array_equal(model.norm.weight, norm.weight.detach())
