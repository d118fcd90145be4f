"""Checks that initializers are torch's: distributions, moments, layouts, arguments and refusals.

For another project's tests::

    jaxinit_conformance.run("my_package.initializers", quick=True).conforms
    jaxinit_conformance.assert_conforms(init, distribution, shape)

Both need the packages of `pip install 'jaxinit[conformance]'`, loaded on first use.
"""

from typing import Any

__all__ = ["assert_conforms", "run"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module 'jaxinit_conformance' has no attribute {name!r}")
