"""Check that JAX initializers draw what the installed `torch.nn.init` draws.

For the tests of another project::

    jaxinit_conformance.run("my_package.initializers", quick=True).conforms
    jaxinit_conformance.assert_conforms(init, distribution, shape)

Both load the packages of `pip install 'jaxinit[conformance]'` when they are first used.
"""

from typing import Any

__all__ = ["assert_conforms", "assert_ported", "port", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'jaxinit_conformance' has no attribute {name!r}")
    try:
        if name in ("assert_ported", "port"):
            from .porting import port

            return getattr(port, name)
        from . import api

        return getattr(api, name)
    except ModuleNotFoundError as error:
        needed = f"jaxinit_conformance.{name} needs {error.name}"
        rule = f"{needed}. Install it with: pip install 'jaxinit[conformance]'"
        raise ModuleNotFoundError(rule, name=error.name) from None
