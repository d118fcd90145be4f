"""The documentation is complete: derived from the public names, not from a list."""

import dataclasses
import inspect
import re
import runpy
from pathlib import Path

import pytest

import jaxinit

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
REFERENCE = (ROOT / "docs" / "reference.md").read_text()

NAMES = jaxinit.__all__
CALLABLES = [name for name in NAMES if callable(getattr(jaxinit, name))]
FACTORIES = [
    name
    for name in CALLABLES
    if inspect.isclass(getattr(jaxinit, name))
    and issubclass(getattr(jaxinit, name), jaxinit.Initializer)
    and name != "Initializer"
]


def docstring(name: str) -> str:
    """Its own docstring, not an inherited one."""
    return inspect.cleandoc(getattr(jaxinit, name).__doc__ or "")


def section(name: str, title: str) -> str:
    """The indented text under `title:`, empty if there is none."""
    found = re.search(rf"^{title}:\n((?:[ ]+.*\n|\n)+)", docstring(name) + "\n", re.MULTILINE)
    return found.group(1) if found else ""


@pytest.mark.parametrize("name", NAMES)
def test_is_in_the_reference(name: str) -> None:
    assert re.search(rf"^\.\. (autoclass|autofunction|data):: jaxinit\.{name}$", REFERENCE, re.MULTILINE)


@pytest.mark.parametrize("name", CALLABLES)
def test_has_its_equation_above_it(name: str) -> None:
    before, _ = re.split(rf"^\.\. auto\w+:: jaxinit\.{name}$", REFERENCE, flags=re.MULTILINE)
    since_the_last_entry = re.split(r"^\.\. auto\w+:: ", before, flags=re.MULTILINE)[-1]
    assert re.search(r"^\$\$\n.+\n\$\$\n", since_the_last_entry, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", CALLABLES)
def test_has_an_example(name: str) -> None:
    assert ">>> " in section(name, "Example")


@pytest.mark.parametrize("name", FACTORIES)
def test_documents_each_argument(name: str) -> None:
    fields = [field.name for field in dataclasses.fields(getattr(jaxinit, name))]
    documented = re.findall(r"^    (\w+):", section(name, "Args"), re.MULTILINE)
    assert sorted(documented) == sorted(fields)


@pytest.mark.parametrize("name", FACTORIES)
def test_documents_what_it_raises(name: str) -> None:
    arguments = {field.name for field in dataclasses.fields(getattr(jaxinit, name))} - {"dtype"}
    assert ("Error:" in section(name, "Raises")) or not arguments


@pytest.mark.parametrize("command", ["make report", "make test", "pip install jaxinit", "python -m conformance run"])
def test_readme_names_the_command(command: str) -> None:
    assert command in README


def test_readme_has_the_rows_that_its_script_measures() -> None:
    rows = runpy.run_path(str(ROOT / "benchmarks" / "differences.py"))["rows"]()
    in_readme = re.findall(r"^\| (.+?) \|", README.partition("## One name")[2].partition("\n## ")[0], re.MULTILINE)
    assert in_readme == ["call", *(row.call for row in rows)]


@pytest.mark.parametrize(
    "page", [README, *((ROOT / "docs").glob("*.md"))], ids=lambda page: getattr(page, "stem", "README")
)
def test_links_lead_somewhere(page: str | Path) -> None:
    text = page if isinstance(page, str) else page.read_text()
    folder = ROOT if isinstance(page, str) else page.parent
    targets = [target for target in re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)", text) if "://" not in target]
    assert not [target for target in targets if not (folder / target).exists()]
