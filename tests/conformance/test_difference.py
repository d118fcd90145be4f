import json
from pathlib import Path

import pytest

from conformance.cli import main


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


def test_equal_reports_exit_0(tmp_path: Path) -> None:
    report = _report(tmp_path / "a.json", one=True)
    assert main(["diff", report, report]) == 0


@pytest.mark.parametrize("content", [b"", b"[]", b'{"checks": [1]}', b"\xff\xfe", b'{"checks": [{"id": 1}]}'])
def test_what_is_no_report_exits_2(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.json").write_bytes(content)
    assert main(["diff", str(tmp_path / "x.json"), str(tmp_path / "x.json")]) == 2
    assert "x.json is not a report.json" in capsys.readouterr().err


def test_a_missing_file_exits_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(tmp_path / "none.json"), str(tmp_path / "none.json")]) == 2
    assert "cannot read" in capsys.readouterr().err
