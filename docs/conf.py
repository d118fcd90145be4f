"""How Sphinx builds the site. Pictures are drawn first. Tables that take long are files of the repository."""

import dataclasses
import inspect
import os
import re
import runpy
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

import jaxinit

os.environ.setdefault("KERAS_BACKEND", "jax")  # Keras imports TensorFlow otherwise
os.environ.setdefault("JAX_PLATFORMS", "cpu")  # JAX logs that it finds no other device otherwise

HERE = Path(__file__).parent

project = "jaxinit"
version = release = jaxinit.__version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.doctest"]
exclude_patterns = ["_build", "benchmarks", "scripts", "static", "tables"]
nitpicky = True
nitpick_ignore_regex = [("py:exc", r"\w+Error"), ("py:exc", "UserWarning")]
default_role = "literal"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
highlight_language = "none"  # equations of docstrings are no code
html_theme = "furo"
html_title = "jaxinit"
html_static_path = ["static"]
html_css_files = ["site.css"]


def arguments_of(obj: Any) -> str:
    """The arguments of a dataclass, without self and types."""
    parameters = list(inspect.signature(obj.__init__).parameters.values())[1:]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare))


def signature(*event: Any) -> tuple[str, None] | None:
    """Initializer defines __new__, which would hide what each initializer takes."""
    obj = event[3]
    return (arguments_of(obj), None) if dataclasses.is_dataclass(obj) else None


def draw(_: Sphinx) -> None:
    for script in ("draw_axes", "pictures"):
        runpy.run_path(str(HERE / "scripts" / f"{script}.py"))["draw_all"](HERE / "_build" / "pictures")


def mathml(writer: HTML5Translator, node: nodes.math | nodes.math_block) -> None:
    """Write an equation as MathML, which browsers show without a script from elsewhere."""
    writer.body.append(tex2mathml(node.astext(), as_block=isinstance(node, nodes.math_block)))
    raise nodes.SkipNode


LOADED_FROM_ELSEWHERE = re.compile(r'<(?:script|link|img|iframe)[^>]+(?:src|href)="(?:https?:)?//[^"]*')


def finish(app: Sphinx, exception: Exception | None) -> None:
    """Refuse a page that would load something from another host, and print where the site is."""
    if exception is not None:
        return
    for page in Path(app.outdir).rglob("*.html"):
        if found := LOADED_FROM_ELSEWHERE.search(page.read_text()):
            raise ExtensionError(f"{page} must load nothing from another host, got {found.group()}")
    print(f"The site is in {Path(app.outdir) / 'index.html'}")


def setup(app: Sphinx) -> None:
    app.connect("builder-inited", draw)
    app.connect("build-finished", finish)
    app.connect("autodoc-process-signature", signature)
    app.add_html_math_renderer("mathml", (mathml, None), (mathml, None))


html_math_renderer = "mathml"
