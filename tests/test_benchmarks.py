"""Each script of `make bench` runs, and writes its table and its figures."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SCRIPTS = [path.stem for path in (ROOT / "benchmarks").glob("*.py") if "\nimport turns\n" in path.read_text()]


@pytest.mark.parametrize("name", SCRIPTS)
def test_it_runs_and_writes_its_table(name: str, tmp_path: Path) -> None:
    script = ROOT / "benchmarks" / f"{name}.py"
    command = [sys.executable, str(script), "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / f"{name}.md").read_text() in done.stdout
    assert json.loads((tmp_path / f"{name}.json").read_text())["figures"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_page_shows_its_table(name: str) -> None:
    page = "torch_bits.md" if name == "replay" else "speed.md"
    assert f"{{include}} /benchmarks/{name}.md" in (ROOT / "docs" / "background" / page).read_text()
    assert (ROOT / "docs" / "benchmarks" / f"{name}.md").exists()
