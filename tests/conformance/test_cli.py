"""The command as a user runs it: files, exit statuses, one clear line when it cannot run."""

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from jaxinit_conformance.cli import main
from jaxinit_conformance.reference import torch_init
from jaxinit_conformance.report import write
from tests import seeds

SEED = str(seeds.fresh(__name__))
CHEAP = r"^(zeros|eye|calculate_gain|kaiming_normal: (distribution|refusal))"

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text())


def test_a_conforming_target_exits_0_and_leaves_four_reports(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--quick", "--select", CHEAP, "--seed", SEED, "--out", str(tmp_path)]) == 0
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(content, SCHEMA)
    assert content["target"] == "jaxinit"
    assert content["seed"] == int(SEED)
    assert content["summary"]["failed"] == 0
    assert content["summary"]["passed"] == len(content["checks"])
    suite = ElementTree.parse(tmp_path / "junit.xml").getroot()
    assert len(suite) == len(content["checks"]) == int(suite.attrib["tests"])
    assert "conforms to torch" in (tmp_path / "report.md").read_text()
    page = (tmp_path / "report.html").read_text()
    assert "conforms to torch.nn.init" in page
    assert re.search(r"<dt>date</dt><dd>\d{4}-\d\d-\d\d</dd>", page)
    assert not re.search(r"(src|href)=\"(http|//)", page)
    assert "conforms to torch" in capsys.readouterr().out


def test_the_report_shows_what_every_initializer_drew_beside_torch(tmp_path: Path) -> None:
    assert main(["run", "--quick", "--select", r"^[a-z_]+: (mean|orthonormal|scale) ", "--out", str(tmp_path)]) == 0
    page = (tmp_path / "report.html").read_text()
    drawn = {name for name in torch_init.initializers() if name not in ("constant", "ones", "zeros", "eye", "dirac")}
    assert set(re.findall("<figcaption>(.*?)</figcaption>", page)) == drawn


def test_a_deviating_target_exits_1_and_says_where(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    select = r"^kaiming_normal: (shape|signature)"
    arguments = ["run", "--quick", "--target", "jax.nn.initializers", "--select", select, "--out", str(tmp_path)]
    assert main(arguments) == 1
    content = json.loads((tmp_path / "report.json").read_text())
    jsonschema.validate(content, SCHEMA)
    # JAX truncates its kaiming_normal at two standard deviations; beside a sample of torch's that shows in most runs.
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
        (["--seed", "-1"], "whole number from 0 to 2147483647, got '-1'"),
        (["--seed", "2147483648"], "whole number from 0 to 2147483647, got '2147483648'"),
        (["--seed", "²"], "whole number from 0 to 2147483647, got '²'"),
        (["--seed", "٣"], "whole number from 0 to 2147483647, got '٣'"),
        (["--seed", "9" * 5000], "whole number from 0 to 2147483647, got '9999"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_what_cannot_run_exits_2_with_the_reason(
    arguments: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        status = main(["run", "--quick", "--out", str(tmp_path / "out"), *arguments])
    except SystemExit as stop:
        status = int(stop.code or 0)
    assert status == 2
    assert line in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("out", ["file", "file/below", "link", "folder"])
def test_out_that_cannot_be_written_is_found_before_the_run(
    out: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "folder" / "report.json").mkdir(parents=True)
    assert main(["run", "--out", str(tmp_path / out)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (line,) = printed.err.splitlines()
    assert f"--out must be a folder that reports can be written to, got '{tmp_path / out}'" in line


def test_out_that_becomes_unwritable_during_the_run_exits_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(write, "expect_folder", lambda out: None)
    (tmp_path / "report.md").mkdir()
    assert main(["run", "--quick", "--select", "^zeros: present", "--out", str(tmp_path)]) == 2
    assert "--out must be a folder that reports can be written to" in capsys.readouterr().err


@pytest.mark.parametrize("count", ["0", "²", "1.5"])
def test_runs_are_counted_in_whole_numbers(count: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["calibrate", "--runs", count])
    assert f"must be a whole number above 0, got '{count}'" in capsys.readouterr().err


def test_nothing_selected_leaves_no_folder(tmp_path: Path) -> None:
    assert main(["run", "--quick", "--select", "matches nothing", "--out", str(tmp_path / "out")]) == 2
    assert not (tmp_path / "out").exists()


def test_without_torch_it_exits_2_and_names_the_command_that_installs_it() -> None:
    code = (
        "import sys, runpy; sys.modules['torch'] = None; runpy.run_module('jaxinit_conformance', run_name='__main__')"
    )
    ended = subprocess.run([sys.executable, "-c", code, "run"], capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "conformance: needs torch; install it with: pip install 'jaxinit[conformance]'"
    ]


def test_without_flax_whole_models_cannot_be_checked_and_the_line_says_what_to_install(tmp_path: Path) -> None:
    code = "import sys, runpy; sys.modules['flax'] = None; runpy.run_module('jaxinit_conformance', run_name='__main__')"
    arguments = [sys.executable, "-c", code, "run", "--quick", "--select", "^zeros", "--out", str(tmp_path)]
    ended = subprocess.run(arguments, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        "conformance: jaxinit.nnx needs flax; install it with: pip install 'jaxinit[flax]'"
    ]
