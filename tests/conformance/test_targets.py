import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import jaxinit
from jaxinit_conformance import targets
from tests.conformance import command


def test_a_target_is_any_dotted_name() -> None:
    assert targets.load("jax.random").namespace is jax.random
    assert targets.load("jaxinit").namespace is jaxinit


def test_a_namespace_without_a_name_of_torchs_is_refused() -> None:
    with pytest.raises(targets.TargetError, match="the target 'json' has none of torch's initializers"):
        targets.load("json")


@pytest.mark.parametrize("name", ["no_such_package", "jax.no_such_thing", "jaxinit.elementwise.none", "not a name"])
def test_what_cannot_be_imported_is_named(name: str) -> None:
    with pytest.raises(targets.TargetError, match=name):
        targets.load(name)


def test_what_importing_raises_names_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "raises_on_import.py").write_text("raise RuntimeError('so\\nit is')")
    monkeypatch.syspath_prepend(tmp_path)
    assert command.jaxinit(["report", "--target", "raises_on_import", "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line == r"Error: cannot import the target 'raises_on_import': so\nit is"


def test_torch_as_a_target_draws_what_torch_draws() -> None:
    key = jax.random.key(5)
    init = targets.load("torch").build("kaiming_uniform", {"mode": "fan_out"})
    torch.manual_seed(targets.seed(key))
    theirs = torch.nn.init.kaiming_uniform_(torch.empty(6, 4, 3, 2), mode="fan_out")
    assert (init(key, (3, 2, 4, 6), "float32") == theirs.permute(2, 3, 1, 0).numpy()).all()


def test_targets_that_cannot_be_traced_are_called_key_by_key() -> None:
    keys = jax.random.split(jax.random.key(0), 3)
    namespace = types.SimpleNamespace(
        normal=lambda: lambda key, shape, dtype: np.full(shape, np.asarray(jax.random.key_data(key))[1] % 97, dtype)
    )
    drawn = targets.draw(targets.Target("own", namespace).build("normal", {}), keys, (2, 2), "float32")
    assert drawn.shape == (3, 2, 2)
    assert (drawn[:, 0, 0] == np.asarray(jax.random.key_data(keys))[:, 1] % 97).all()


def test_an_error_of_the_target_is_not_hidden_by_the_second_way() -> None:
    def init(key: jax.Array, shape: tuple[int, ...], dtype: jnp.dtype) -> jax.Array:
        raise ValueError("of its own")

    with pytest.raises(ValueError, match="of its own"):
        targets.draw(init, jax.random.split(jax.random.key(0), 2), (2,), "float32")
