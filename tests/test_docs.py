"""The documentation is complete: derived from the public names, not from a list."""

import dataclasses
import inspect
import operator
import re
import runpy
import types
from pathlib import Path
from typing import Any

import pytest

import jaxinit

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOB = "https://github.com/jaxinit/jaxinit/blob/main/"
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
REFERENCE = "\n".join(page.read_text() for page in PAGES if "reference" in page.parts)


def named_in_repository(page: Path) -> str:
    return str(page.relative_to(ROOT))


def public(module: types.ModuleType) -> list[str]:
    """The functions and initializers that a module defines for others, dotted."""
    prefix = module.__name__.removeprefix("jaxinit.")
    return [
        f"{prefix}.{name}"
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "").startswith(module.__name__)
    ]


DRAWN = [*public(jaxinit.defaults), *public(jaxinit.composed), *public(jaxinit.scaling)]
MODELS = [*public(jaxinit.nnx), *public(jaxinit.linen), *public(jaxinit.equinox)]
TOP = [name for name in jaxinit.__all__ if not inspect.ismodule(getattr(jaxinit, name))]
ADAPTERS = ["at_call", *public(jaxinit.keras), *public(jaxinit.haiku)]
NAMES = [*TOP, *DRAWN, *MODELS, *ADAPTERS[1:]]


def named(name: str) -> Any:
    """What `jaxinit.NAME` is."""
    return operator.attrgetter(name)(jaxinit)


DISTRIBUTIONS = [name for name in public(jaxinit.distributions) if name[0] != "_"]
METHODS = [
    f"{name}.{method}"
    for name in ("TorchGenerator", "Layout", "Initializer", "Recipe")
    for method, value in vars(named(name)).items()
    if inspect.isroutine(value) and not method.startswith("_")
]
CALLABLES = [name for name in NAMES if callable(named(name))]
WITH_EQUATION = [name for name in CALLABLES if name not in (*MODELS, *ADAPTERS[1:], "Initializer", "Recipe", "record")]
WITH_ARGUMENTS = [
    name
    for name in CALLABLES
    if name in DRAWN
    or name in MODELS
    or name in ADAPTERS
    or (inspect.isclass(named(name)) and issubclass(named(name), jaxinit.Initializer) and name != "Initializer")
]


def docstring(name: str) -> str:
    """Its own docstring, not an inherited one."""
    return inspect.cleandoc(named(name).__doc__ or "")


def section(name: str, title: str) -> str:
    """The indented text under `title:`, empty if there is none."""
    found = re.search(rf"^{title}:\n((?:[ ]+.*\n|\n)+)", docstring(name) + "\n", re.MULTILINE)
    return found.group(1) if found else ""


def arguments(name: str) -> list[str]:
    """What it takes: its fields, or its parameters."""
    if dataclasses.is_dataclass(named(name)):
        return [field.name for field in dataclasses.fields(named(name)) if field.init]
    return list(inspect.signature(named(name)).parameters)


def test_whole_modules_are_looked_through() -> None:
    assert {"defaults.linear", "composed.concatenated", "nnx.apply", "linen.load", "uniform"} <= set(CALLABLES)


@pytest.mark.parametrize("name", NAMES)
def test_is_in_the_reference(name: str) -> None:
    assert re.search(rf"^\.\. (autoclass|autofunction|data):: jaxinit\.{re.escape(name)}$", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize("name", WITH_EQUATION)
def test_its_docstring_has_an_equation(name: str) -> None:
    assert re.search(r"::\n\n    \S", docstring(name).partition("\nArgs:")[0])


@pytest.mark.parametrize("name", CALLABLES)
def test_has_an_example(name: str) -> None:
    assert ">>> " in section(name, "Example")


VERBS = {
    "Apply", "Build", "Describe", "Draw", "Fill", "Load", "Name", "Put", "Register", "Represent", "Reset", "Return",
    "Start",
}  # fmt: skip


@pytest.mark.parametrize("name", [*CALLABLES, *DISTRIBUTIONS, *METHODS])
def test_its_first_line_starts_with_a_verb(name: str) -> None:
    assert docstring(name).split()[0] in VERBS


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=named_in_repository)
def test_inline_code_names_what_exists(page: Path) -> None:
    prose = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    names = {
        found
        for code in re.findall(r"`([^`\n]+)`", prose)
        for found in re.findall(r"(?<![\w./-])jaxinit\.([a-zA-Z_]\w*(?:\.\w+)*)", code)
    }
    assert not {name for name in names if not exists(name)}


def exists(name: str) -> bool:
    """Return whether jaxinit has the dotted name, or a class on the way has such a field."""
    try:
        named(name)
    except AttributeError:
        owner, _, last = name.rpartition(".")
        return bool(owner) and last in getattr(named(owner), "__annotations__", {})
    return True


@pytest.mark.parametrize("name", WITH_ARGUMENTS)
def test_documents_each_argument(name: str) -> None:
    documented = re.findall(r"^    \*{0,2}(\w+):", section(name, "Args"), re.MULTILINE)
    assert sorted(documented) == sorted(arguments(name))


@pytest.mark.parametrize("name", WITH_ARGUMENTS)
def test_documents_what_it_raises(name: str) -> None:
    checked = set(arguments(name)) - {"dtype", "model"}
    assert ("Error:" in section(name, "Raises")) or not checked


@pytest.mark.parametrize("command", ["make report", "make test", "pip install jaxinit", "jaxinit report"])
def test_readme_names_the_command(command: str) -> None:
    assert command in README


def test_the_table_of_differences_has_the_rows_that_its_script_measures() -> None:
    rows = runpy.run_path(str(ROOT / "benchmarks" / "for_docs" / "differences.py"))["rows"]()
    page = (ROOT / "docs" / "background" / "same_name.md").read_text()
    table = page.partition("## Look up what a call draws")[2].partition("\n## ")[0]
    assert re.findall(r"^\| (.+?) \|", table, re.MULTILINE) == ["call", *(row.call for row in rows)]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=named_in_repository)
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"(?<!!)\[[^\]]*\](?:\(|: )([^)#\s]+)", page.read_text())
    paths = [target.replace(BLOB, f"{ROOT}/") for target in targets]
    assert not [path for path in paths if "://" not in path and not (page.parent / path).exists()]
