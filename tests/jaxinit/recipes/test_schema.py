"""A recipe goes to JSON and comes back, without torch, and a broken file is told what is wrong with it."""

import contextlib
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jsonschema
import numpy as np
import pytest

import jaxinit
from tests.jaxinit.recipes.models import MODELS

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "schemas" / "recipe.schema.json").read_text())


@pytest.mark.parametrize("name", MODELS)
def test_a_recipe_comes_back_equal(name: str) -> None:
    recipe = jaxinit.record(MODELS[name])
    again = jaxinit.Recipe.from_json(recipe.to_json())
    assert again == recipe
    assert hash(again) == hash(recipe) == hash(pickle.loads(pickle.dumps(recipe)))
    assert again.to_json() == recipe.to_json()
    jsonschema.validate(json.loads(recipe.to_json()), SCHEMA)
    assert str(again) == str(recipe)


def test_another_model_has_another_recipe() -> None:
    assert jaxinit.record(MODELS["slices"]) != jaxinit.record(MODELS["constants"])


PROGRAM = """
import sys
sys.modules["torch"] = None
import jax, jaxinit
recipe = jaxinit.Recipe.from_json(sys.stdin.read())
arrays = recipe.sample(jax.random.key(0))
print(float(arrays["embedding.weight"].sum()), float(recipe.sample(jaxinit.TorchGenerator(0))["bias"].sum()))
"""


def test_a_recipe_runs_without_torch() -> None:
    recipe = jaxinit.record(MODELS["slices"])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=recipe.to_json(), capture_output=True, text=True, check=True
    )
    ours = recipe.sample(jax.random.key(0))["embedding.weight"], recipe.sample(jaxinit.TorchGenerator(0))["bias"]
    np.testing.assert_allclose(list(map(float, done.stdout.split())), [float(array.sum()) for array in ours], rtol=1e-6)


def content() -> Any:
    return json.loads(jaxinit.record(MODELS["slices"]).to_json())


def set_at(*path: Any) -> Callable[[Any, Any], None]:
    def change(tree: Any, value: Any) -> None:
        for name in path[:-1]:
            tree = tree[name]
        tree[path[-1]] = value

    return change


BROKEN = {
    "another format": (set_at("format"), "onnx", "must be a recipe, whose `format` is 'jaxinit recipe'"),
    "a later version": (set_at("version"), 2, "must be a recipe of version 1, got 2. Record the model again"),
    "nodes are no list": (set_at("nodes"), 3, "wrong value in node 0|wrong value in"),
    "an unknown operation": (set_at("nodes", 0, "op"), "system", "in node 0: `op` must be one of .* got 'system'"),
    "an unknown dtype": (set_at("nodes", 0, "dtype"), "object", "in node 0: `dtype` must be a dtype of numbers"),
    "a dtype that is no name": (set_at("nodes", 0, "dtype"), [1], "in node 0: `dtype` must be the name of a dtype"),
    "a negative size": (set_at("nodes", 0, "shape"), [-1], "in node 0: `shape` must not have a negative size"),
    "a later node": (
        set_at("nodes", 0, "args"),
        [{"node": 9}],
        "in node 0: `node` must be at least 0 and below 0, got 9",
    ),
    "a strange argument": (set_at("nodes", 0, "args"), [{"eval": "1"}], "in node 0: no argument is written as"),
    "an unknown initializer": (set_at("nodes", 0, "args"), [{"draw": "exec"}], "in node 0: `draw` must be one of"),
    "an impossible initializer": (
        set_at("nodes", 0, "args"),
        [{"draw": "normal", "mean": 0, "std": -1}],
        "in node 0: `std` must be at least 0, got -1",
    ),
    "a draw without initializer": (
        set_at("nodes", 0, "args"),
        [],
        "in node 0: `args` of a draw must be one initializer",
    ),
    "a parameter without name": (set_at("parameters", 0), {}, "in parameter 0: 'name' is missing"),
    "a parameter of no node": (set_at("parameters", 0, "node"), 10**6, "in parameter 0: `node` must be at least 0"),
    "two of one name": (set_at("parameters", 0, "aliases"), ["packed"], "the name 'packed' is there twice"),
    "a bad constant": (
        set_at("constants"),
        [{"shape": [3], "dtype": "float32", "zlib": "eJw="}],
        "in constants: 12 bytes are declared, and the content has fewer",
    ),
    "a constant that unpacks to more": (
        set_at("constants"),
        [{"shape": [1], "dtype": "bool", "zlib": "eJxjYGAYBaNgFIwUAABcgAAB"}],
        "in constants: ",
    ),
    "a constant that is not packed": (
        set_at("constants"),
        [{"shape": [1], "dtype": "bool", "zlib": "!"}],
        "in constants: not packed by zlib",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_what_is_wrong(name: str) -> None:
    change, value, message = BROKEN[name]
    broken = content()
    change(broken, value)
    with pytest.raises(ValueError, match=message):
        jaxinit.Recipe.from_json(json.dumps(broken))


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(ValueError, match="`text` must be JSON"):
        jaxinit.Recipe.from_json("[" * 100000)
    with pytest.raises(ValueError, match="`text` must be JSON"):
        jaxinit.Recipe.from_json("{")
    with pytest.raises(TypeError, match="`text` must be a text, got <class 'bytes'>"):
        jaxinit.Recipe.from_json(b"{}")  # type: ignore[arg-type]


def test_no_change_of_one_value_crashes(rng: np.random.Generator) -> None:
    """Whatever one value of the file becomes, the answer is a recipe or a ValueError."""
    original = content()
    paths: list[tuple[Any, ...]] = []

    def walk(tree: Any, path: tuple[Any, ...]) -> None:
        paths.append(path)
        for name, value in (
            tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
        ):
            walk(value, (*path, name))

    walk(original, ())
    for path in rng.permutation(np.array(paths[1:], object))[:80]:
        for value in (None, -1, 1.5, "x", [], {}, [None], {"node": -1}, True):
            broken = json.loads(json.dumps(original))
            set_at(*path)(broken, value)
            with contextlib.suppress(ValueError):
                jaxinit.Recipe.from_json(json.dumps(broken))
