"""The arrays of a model by path, whatever the model is."""

import dataclasses
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
import torch
from flax import nnx

import jaxinit
from jaxinit._descriptions.arrays import leaves


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Attention:
    query: Any
    value: Any


class Boxed(nn.Module):
    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        return nn.Dense(3, kernel_init=nn.with_partitioning(nn.initializers.ones, (None, None)))(x)


def paths(*given: Any, **options: Any) -> list[str]:
    return [row.path for row in jaxinit.describe(*given, **options).rows]


def test_names_are_paths() -> None:
    layer, x = nnx.Linear(2, 3, rngs=nnx.Rngs(0)), jnp.ones((1, 2))
    variables = Boxed().init(jax.random.key(0), x)
    assert paths({"a": [np.ones(1), (np.ones(2),)]}) == ["a.0", "a.1.0"]
    assert paths(layer) == ["kernel", "bias"]
    assert sorted(paths(nnx.state(layer))) == ["bias", "kernel"]
    assert sorted(paths(variables)) == ["params.Dense_0.bias", "params.Dense_0.kernel"]
    assert sorted(paths(variables, Boxed(), x)) == ["Dense_0.bias", "Dense_0.kernel"]
    assert paths({"a": {"value": np.ones(1)}}) == ["a.value"]
    assert paths({"a": Attention(np.ones(1), [np.ones(1)])}) == ["a.query", "a.value.0"]
    assert paths({"a": Attention(np.ones(1), np.ones(1))}) == ["a.query", "a.value"]


def test_leaves_that_are_no_arrays_are_left_out() -> None:
    tree = {"a": [np.ones(1)], "act": jax.nn.relu, "rate": 0.5, "key": jax.random.key(0), "name": "x", "none": None}
    assert list(leaves(tree)) == ["a.0"]


def test_a_state_dict_is_read_as_load_reads_it() -> None:
    state = torch.nn.BatchNorm1d(3).to(torch.bfloat16).state_dict()
    assert paths(state) == ["weight", "bias", "running_mean", "running_var"]
    assert {row.dtype for row in jaxinit.describe(state).rows} == {"bfloat16"}


def test_a_checkpoint_is_described_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(safetensors.numpy.save({"fc.weight": np.ones((2, 3), np.float32)}))
    for path in (tmp_path, tmp_path / "model.safetensors", str(tmp_path)):
        assert paths(path) == ["fc.weight"]


def test_a_checkpoint_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^`model` must be a folder with one checkpoint, got .* with none$"):
        jaxinit.describe(tmp_path)
    np.savez(tmp_path / "x.npz", a=np.ones(1))
    with pytest.raises(ValueError, match=r"^`model` must be a file of safetensors, or of torch\.save"):
        jaxinit.describe(tmp_path / "x.npz")


def test_a_model_without_parameters_has_no_rows() -> None:
    class Empty(nnx.Module):
        pass

    assert jaxinit.describe(Empty()).rows == ()
    assert str(jaxinit.describe(Empty())).endswith("0 arrays, 0 of which look wrong; 0 entries")


@pytest.mark.parametrize("model", [None, {}, [], {"a": "word"}, nnx.relu, 1.0, np.array(["word"])])
def test_what_holds_no_array_is_refused(model: Any) -> None:
    with pytest.raises(TypeError, match=r"^`model` must hold arrays of numbers, got \w+ without one$"):
        jaxinit.describe(model)


def test_a_torch_module_is_answered_with_its_state_dict() -> None:
    with pytest.raises(TypeError, match=r"^`b` .*, got Linear without one\. Pass torch_model\.state_dict\(\)$"):
        jaxinit.compare({"weight": np.ones(3)}, torch.nn.Linear(3, 1))


def test_abstract_models_are_refused() -> None:
    abstract = nnx.eval_shape(lambda: nnx.Linear(2, 3, rngs=nnx.Rngs(0)))
    with pytest.raises(TypeError, match=r"^`model` must hold arrays, got an abstract Linear$"):
        jaxinit.describe(abstract)
    with pytest.raises(TypeError, match=r"^`model` must hold arrays of numbers, got dict without one$"):
        jaxinit.describe({"a": jax.ShapeDtypeStruct((2,), jnp.float32)})


def test_a_path_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^`model` must give every array a path of its own, got 'a\.b' twice$"):
        jaxinit.describe({"a": {"b": np.ones(1)}, "a.b": np.ones(2)})


def test_inputs_need_their_module() -> None:
    with pytest.raises(TypeError, match=r"^`module` must be given with its inputs, got None and \['train'\]$"):
        jaxinit.describe({"a": np.ones(1)}, train=True)
