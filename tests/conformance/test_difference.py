import json
from pathlib import Path

import pytest

from jaxinit_conformance.cli import main


def _report(path: Path, **verdicts: bool) -> str:
    checks = [{"id": name, "passed": passed} for name, passed in verdicts.items()]
    path.write_text(json.dumps({"target": path.stem, "checks": checks}))
    return str(path)


def test_changed_verdicts_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = _report(tmp_path / "before.json", same=True, worse=True, gone=False)
    after = _report(tmp_path / "after.json", same=True, worse=False, new=True)
    assert main(["diff", before, after]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "passed -> failed  worse",
        "absent -> passed  new",
        "failed -> absent  gone",
        "3 verdicts differ between before and after",
    ]


def test_what_would_steer_a_terminal_is_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before, after = (_report(tmp_path / f"{name}.json", **{"\x1b[2J\n": True}) for name in ("a", "b"))
    Path(after).write_text(json.dumps({"target": "\x1b]0;x\x07", "checks": []}))
    assert main(["diff", before, after]) == 1
    assert capsys.readouterr().out.splitlines() == [
        r"passed -> absent  \x1b[2J\n",
        r"1 verdicts differ between a and \x1b]0;x\x07",
    ]


def test_equal_reports_exit_0(tmp_path: Path) -> None:
    report = _report(tmp_path / "a.json", one=True)
    assert main(["diff", report, report]) == 0


NO_REPORTS = [
    b"",
    b"[]",
    b"[" * 100_000,
    b"\xff\xfe",
    b'{"checks": {}}',
    b'{"checks": [1]}',
    b'{"checks": [{"id": 1, "passed": true}]}',
    b'{"checks": [{"id": ["a"], "passed": true}]}',
    b'{"checks": [{"id": {"a": 1}, "passed": true}]}',
    b'{"checks": [{"id": "a"}]}',
    b'{"checks": [{"id": "a", "passed": "no"}]}',
]


@pytest.mark.parametrize("content", NO_REPORTS, ids=[str(content[:50]) for content in NO_REPORTS])
def test_what_is_no_report_exits_2(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert main(["diff", str(tmp_path / "x.json"), str(tmp_path / "x.json")]) == 2
    assert "x.json is not a report.json" in capsys.readouterr().err


def test_a_missing_file_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(tmp_path / "none.json"), str(tmp_path / "none.json")]) == 2
    assert "cannot read" in capsys.readouterr().err
