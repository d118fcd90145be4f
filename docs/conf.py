"""How Sphinx builds the site. Pictures and tables that pages include are made first."""

import dataclasses
import inspect
import os
import runpy
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import jaxinit

os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras imports TensorFlow otherwise

HERE = Path(__file__).parent

project = "jaxinit"
version = release = jaxinit.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"]
exclude_patterns = ["_build", "benchmarks", "scripts"]
nitpicky = True
nitpick_ignore_regex = [("py:exc", r"\w+Error"), ("py:exc", "UserWarning")]
default_role = "literal"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
html_theme = "furo"
html_title = "jaxinit"


def arguments_of(obj: Any) -> str:
    """The arguments of a dataclass, without self and types."""
    parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare))


def signature(*event: Any) -> tuple[str, None] | None:
    """Initializer defines __new__, which would hide what each initializer takes."""
    obj = event[3]
    return (arguments_of(obj), None) if dataclasses.is_dataclass(obj) else None


def make(_: Sphinx) -> None:
    runpy.run_path(str(HERE / "scripts" / "draw_axes.py"))["draw_all"](HERE / "_build" / "axes")
    runpy.run_path(str(HERE / "scripts" / "fault_table.py"))["write"](HERE / "_build" / "faults.md")
    runpy.run_path(str(HERE / "scripts" / "module_table.py"))["write"](HERE / "_build" / "modules")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", make)
    app.connect("autodoc-process-signature", signature)
