"""The command as a user runs it: files, exit statuses, one clear line when it cannot run."""

import json
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import numpy as np
import pytest

from jaxinit_conformance import adapters, cli, suite
from jaxinit_conformance.__main__ import SEED as SEEDS
from jaxinit_conformance.__main__ import main
from jaxinit_conformance.checks.check import Check, Result
from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.statistics.tests import RATES
from tests import seeds
from tests.conformance.command import jaxinit

SEED = str(seeds.fresh(__name__))
CHEAP = r"^(zeros|eye|calculate_gain|kaiming_normal: (distribution|refusal))"

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "reference" / "schemas" / "report.schema.json").read_text())


def test_a_conforming_target_exits_0_and_leaves_four_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jaxinit(["report", "--quick", "--select", CHEAP, "--seed", SEED, "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(content, SCHEMA)
    assert content["target"] == "jaxinit"
    assert content["seed"] == int(SEED)
    assert content["summary"]["failed"] == 0
    assert content["summary"]["passed"] == len(content["checks"])
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert len(suite) == len(content["checks"]) == int(suite.attrib["tests"])
    page = (tmp_path / "report.html").read_text()
    assert re.search(r"<dt>date</dt><dd>\d{4}-\d\d-\d\d</dd>", page)
    assert not re.search(r"(src|href)=\"(http|//)", page)
    assert content["quick"]
    assert content["select"] == CHEAP
    heading = f"jaxinit passes the selected checks against torch {torch_init.version} (quick run, only checks that"
    written = [(tmp_path / name).read_text() for name in ("report.md", "junit.xml")]
    for text in (*written, page, capsys.readouterr().out):
        assert heading in text
        assert "conforms" not in text


@pytest.mark.parametrize(
    ("quick", "select", "failed", "verdict"),
    [
        (False, "", False, "jaxinit conforms to torch 9.0"),
        (True, "", False, "jaxinit conforms to torch 9.0 (quick run)"),
        (False, "a", False, "jaxinit passes the selected checks against torch 9.0 (only checks that match 'a')"),
        (True, "a", True, "jaxinit deviates from torch 9.0 (quick run, only checks that match 'a')"),
    ],
)
def test_only_a_run_of_all_checks_says_that_a_target_conforms(
    quick: bool, select: str, failed: bool, verdict: str
) -> None:
    results = [(Check("a", "b", "c"), Result(not failed, 1.0, "2.0"))]
    report = suite.Report("jaxinit", {"torch": "9.0"}, 1, quick, select, RATES, results, [], 1.0)
    assert report.verdict == verdict


@pytest.mark.usefixtures("rare_alarms")
def test_a_part_of_the_modules_names_the_modules_left_out(tmp_path: Path) -> None:
    assert jaxinit(["report", "--quick", "--select", "^nn.Linear: forward", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    assert "<li>nn.LayerNorm: left to a run without --quick and --select</li>" in page
    assert "<li>nn.Linear:" not in page


@pytest.mark.usefixtures("rare_alarms")
def test_the_report_shows_what_every_initializer_drew_beside_torch(tmp_path: Path) -> None:
    assert (
        jaxinit(["report", "--quick", "--select", r"^[a-z_]+: (mean|orthonormal|scale) ", "--out", str(tmp_path)]) == 0
    )
    page = (tmp_path / "report.html").read_text()
    drawn = {name for name in torch_init.initializers() if name not in ("constant", "ones", "zeros", "eye", "dirac")}
    assert set(re.findall("<figcaption>(.*?)</figcaption>", page)) == drawn


def test_a_deviating_target_exits_1_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    select = r"^kaiming_normal: (shape|signature)"
    arguments = ["report", "--quick", "--target", "jax.nn.initializers", "--select", select, "--out", str(tmp_path)]
    assert jaxinit(arguments) == 1
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(content, SCHEMA)
    # JAX truncates its kaiming_normal at two standard deviations. Beside a sample of torch's that shows in most runs.
    failed = {check["claim"] for check in content["checks"] if not check["passed"]}
    assert {"shape", "signature"} <= failed <= {"shape", "shape beside torch", "signature"}
    assert "FAILED kaiming_normal: shape" in capsys.readouterr().out
    assert (
        len(ElementTree.parse(tmp_path / "junit.xml").getroot().findall(".//failure")) == content["summary"]["failed"]
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--target", "no.such.thing"], "no.such.thing"),
        (["--select", "matches nothing"], "matches nothing"),
        (["--select", "("], "regular expression"),
        (["--seed", "-1"], "-1 is not in the range 0<=x<=2147483647"),
        (["--seed", "2147483648"], "2147483648 is not in the range 0<=x<=2147483647"),
        (["--seed", "²"], "'²' is not a valid integer range"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_run_exits_2_with_the_reason(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jaxinit(["report", "--quick", "--out", str(tmp_path / "out"), *arguments]) == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("out", ["file", "file/below", "link", "folder"])
def test_out_that_cannot_be_written_is_found_before_the_run(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder" / "report.json").mkdir(parents=True)
    assert jaxinit(["report", "--out", str(tmp_path / out)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert f"--out must be a folder that reports can be written to, got '{tmp_path / out}'" in line


def test_out_that_becomes_unwritable_during_the_run_exits_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "check_folder", lambda out: None)
    (tmp_path / "report.md").mkdir()
    assert jaxinit(["report", "--quick", "--select", "^zeros: present", "--out", str(tmp_path)]) == 2
    assert "--out must be a folder that reports can be written to" in capsys.readouterr().err


@pytest.mark.parametrize(("count", "reason"), [("0", "0 is not in the range x>=1"), ("1.5", "'1.5' is not a valid")])
def test_runs_are_counted_in_whole_numbers(count: str, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert jaxinit(["calibrate", "--runs", count]) == 2
    assert reason in capsys.readouterr().err


def test_nothing_selected_leaves_no_folder(tmp_path: Path) -> None:
    assert jaxinit(["report", "--quick", "--select", "matches nothing", "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


EXTRAS = ("torch", "flax", "scipy", "matplotlib", "jinja2", "rich", "safetensors")
BLOCKED = "import runpy, sys; sys.modules.update(dict.fromkeys({names!r}.split())); "
COMMAND = "runpy.run_module('jaxinit_conformance', run_name='__main__')"


def ended(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A fresh process that ran Python code with these arguments."""
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("command", ["", *main.commands])
def test_help_needs_no_extra(command: str) -> None:
    code = BLOCKED.format(names=" ".join(EXTRAS)) + COMMAND
    shown = ended(code, *filter(None, [command]), "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert shown.stdout.startswith(f"Usage: jaxinit {command}".rstrip())


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("torch", ["report"]),
        ("rich", ["report"]),
        ("torch", ["faults"]),
        ("scipy", ["calibrate"]),
        ("safetensors", ["describe", "x.npz"]),
        ("rich", ["describe", "x.npz"]),
    ],
)
def test_a_missing_extra_exits_2_and_one_line_says_what_installs_it(
    missing: str, arguments: list[str], tmp_path: Path
) -> None:
    for name in ("x.npz", "y.npz"):
        np.savez(tmp_path / name, a=np.ones(3))
    given = [str(tmp_path / each) if each.endswith(".npz") else each for each in arguments]
    shown = ended(BLOCKED.format(names=missing) + COMMAND, *given)
    assert (shown.returncode, shown.stdout) == (2, "")
    assert shown.stderr.splitlines() == [
        f"Error: `jaxinit {arguments[0]}` needs the package {missing}, which is not installed. "
        "Install it with: pip install 'jaxinit[conformance]'"
    ]


def test_without_flax_whole_models_cannot_be_checked_and_the_line_says_what_to_install(tmp_path: Path) -> None:
    arguments = ["report", "--quick", "--select", "^zeros", "--out", str(tmp_path)]
    shown = ended(BLOCKED.format(names="flax") + COMMAND, *arguments)
    assert shown.returncode == 2
    assert shown.stderr.splitlines() == [
        "Error: `jaxinit report` needs the package flax, which is not installed. "
        "Install it with: pip install 'jaxinit[conformance]'"
    ]


def test_describe_and_compare_load_neither_torch_nor_flax(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", kernel=np.random.default_rng(0).normal(size=(30, 40)))
    (tmp_path / "x.json").write_text("{}")
    code = """
import sys
from jaxinit_conformance.__main__ import main
file, names = sys.argv[1:]
commands = ["describe", file], ["compare", file, file, "--map", names]
print([main(command, standalone_mode=False) for command in commands])
print(sorted({"torch", "flax", "matplotlib", "jinja2"} & set(sys.modules)))
"""
    shown = ended(code, str(tmp_path / "x.npz"), str(tmp_path / "x.json"))
    assert shown.stdout.splitlines()[-2:] == ["[0, 0]", "[]"], shown.stderr


def test_the_console_script_is_the_command() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert {name: pkgutil.resolve_name(path) for name, path in scripts.items()} == {"jaxinit": main}


def test_help_says_what_the_suite_knows(capsys: pytest.CaptureFixture[str]) -> None:
    assert jaxinit(["report", "--help"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert all(name in printed for name in ("torch", *adapters.LIBRARIES))
    assert range(SEEDS.min or 0, (SEEDS.max or 0) + 1) == suite.SEEDS
