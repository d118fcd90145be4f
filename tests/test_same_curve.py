"""examples/same_curve.py: its claim from any seed, and the picture of it that the pages show."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "same_curve.svg"
PAGES = [ROOT / "README.md", ROOT / "docs" / "index.md"]
RAW = "https://raw.githubusercontent.com/jaxinit/jaxinit/main/"
SVG = "{http://www.w3.org/2000/svg}"
# Of the picture's points. The height of the upper panel is 180 of them, and 2.4 of loss.
POINTS = 0.1


def run(*arguments: str) -> str:
    command = [sys.executable, str(ROOT / "examples" / "same_curve.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "same_curve.svg"
    run("--plot", str(path))
    return path


def curve(picture: Path, name: str) -> np.ndarray:
    """Where the picture has the points of a curve, (step, 2)."""
    path = ElementTree.parse(picture).find(f".//{SVG}g[@id='{name}']/{SVG}path")
    assert path is not None
    return np.array(re.findall(r"-?\d[\d.]*", path.attrib["d"]), np.float64).reshape(-1, 2)


def words(picture: Path) -> list[str]:
    """What the picture says, figures of rounding left out: these differ from processor to processor."""
    found = (text.text or "" for text in ElementTree.parse(picture).iter(f"{SVG}text"))
    return [re.sub(r"[\d.]+e-\d+", "", text) for text in found]


def stated(text: str) -> str:
    """The difference that a text states first: that of the two equal curves."""
    found = re.search(r"[\d.]+e-\d+", text)
    assert found
    return found.group()


def test_any_seed_gives_torchs_losses_and_flax_defaults_do_not(seed: int) -> None:
    output = run("--seed", str(seed))
    _, same, own = (line.rpartition(" ")[2] for line in output.splitlines())
    assert float(same) < 1e-4, output
    assert float(own) > 0.01, output


@pytest.mark.parametrize("name", ["torch", "same", "own"])
def test_the_committed_picture_has_the_curves_that_the_script_draws(drawn: Path, name: str) -> None:
    points = curve(PICTURE, name)
    assert points.shape == (200, 2)
    np.testing.assert_allclose(points, curve(drawn, name), rtol=0, atol=POINTS)


def test_the_committed_picture_says_what_the_script_draws(drawn: Path) -> None:
    assert words(PICTURE) == words(drawn)
    ratio = float(stated(PICTURE.read_text())) / float(stated(drawn.read_text()))
    assert 0.1 < ratio < 10


def test_the_committed_picture_is_small() -> None:
    assert PICTURE.stat().st_size < 60_000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_shows_the_picture_and_states_its_figure(page: Path) -> None:
    shown = re.search(r"([^#]*)!\[[^\]]+\]\(([^)]*same_curve\.svg)\)", page.read_text())
    assert shown
    assert (page.parent / shown.group(2).removeprefix(RAW)).resolve() == PICTURE
    assert stated(shown.group(1)) == stated(PICTURE.read_text())
