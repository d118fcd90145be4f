"""What a package index, GitHub and a citation say of jaxinit: derived from the package, or compared with it."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

import jaxinit

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def read(path: str) -> Any:
    """Return the data of a YAML file."""
    return yaml.safe_load((ROOT / path).read_text())


def minors(versions: list[str]) -> list[int]:
    """Return the second number of each version of Python 3."""
    return sorted(int(version.partition(".")[2]) for version in versions)


def test_the_versions_of_python_are_those_that_ci_runs() -> None:
    jobs = read(".github/workflows/ci.yml")["jobs"]
    pinned = {
        step["with"]["python-version"] for step in jobs["pinned"]["steps"] if "python-version" in step.get("with", {})
    }
    run = minors([*pinned, *jobs["newest"]["strategy"]["matrix"]["python-version"]])
    named = [line.rpartition(" ")[2] for line in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", line)]
    assert minors(named) == run == list(range(run[0], run[-1] + 1))
    assert PROJECT["requires-python"] == f">=3.{run[0]}"


def test_ci_runs_the_targets_that_dot_ci_runs() -> None:
    targets = set(re.findall(r"^make ([\w-]+)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE))
    jobs = read(".github/workflows/ci.yml")["jobs"]
    assert {*jobs["pinned"]["strategy"]["matrix"]["target"], "test-newest"} == targets
    assert any(step.get("run", "").startswith("make test-newest") for step in jobs["newest"]["steps"])


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_pinned_by_full_versions(path: Path) -> None:
    uses = re.findall(r"uses: (\S+)", path.read_text())
    assert uses
    assert not [action for action in uses if not re.fullmatch(r"[\w./-]+@v\d+\.\d+\.\d+", action)]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_jobs_may_read_and_nothing_else(path: Path) -> None:
    workflow = read(str(path))
    assert workflow["permissions"] == {"contents": "read"}
    own = {name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job}
    assert own == ({"publish": {"id-token": "write"}} if path.stem == "release" else {})


def test_the_citation_is_of_this_version() -> None:
    citation = read("CITATION.cff")
    assert citation["version"] == jaxinit.__version__
    assert citation["license"] == PROJECT["license"]
    assert citation["repository-code"] == PROJECT["urls"]["Homepage"]


def test_hooks_have_the_versions_of_make_lint() -> None:
    for hook in read(".pre-commit-config.yaml")["repos"][0]["hooks"]:
        assert hook["additional_dependencies"] == [f"ruff=={PINNED['ruff']}"]


def test_every_module_that_is_loaded_on_demand_has_its_extra() -> None:
    assert set(jaxinit._ON_DEMAND.values()) <= set(PROJECT["optional-dependencies"])


def test_links_lead_to_one_repository() -> None:
    home = PROJECT["urls"]["Homepage"]
    assert all(url.startswith(home) for url in PROJECT["urls"].values())
    for path in ("CITATION.cff", "SECURITY.md", ".github/ISSUE_TEMPLATE/config.yml"):
        assert home in (ROOT / path).read_text()
