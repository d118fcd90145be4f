"""NNX, Linen and Equinox have the same functions with the same options."""

import inspect
import types

import pytest

import jaxinit


def functions(module: types.ModuleType) -> dict[str, inspect.Signature]:
    """Return the signatures of the public functions that a module defines."""
    own = {name: value for name, value in vars(module).items() if inspect.isfunction(value)}
    return {
        name: inspect.signature(value)
        for name, value in own.items()
        if value.__module__ == module.__name__ and not name.startswith("_")
    }


NNX, LINEN, EQUINOX = (functions(module) for module in (jaxinit.nnx, jaxinit.linen, jaxinit.equinox))


def test_the_functions_are_the_same() -> None:
    assert NNX.keys() == LINEN.keys() == EQUINOX.keys()
    assert NNX.keys() == {"register", "reset_parameters", "apply", "initializers", "init", "load", "state_dict"}


@pytest.mark.parametrize("name", NNX)
def test_the_options_are_the_same(name: str) -> None:
    def options(signature: inspect.Signature) -> set[str]:
        named = {own.name for own in signature.parameters.values() if own.kind is own.KEYWORD_ONLY}
        return {"rngs" if name == "key" else name for name in named}  # where numbers come from

    assert options(NNX[name]) == options(LINEN[name]) == options(EQUINOX[name])
