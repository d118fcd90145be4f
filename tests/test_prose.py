"""The pages are help: each guide begins with code, each page is in its index, and sentences are short."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(
    page for page in DOCS.rglob("*.md") if not {"_build", "benchmarks", "tables"} & set(page.relative_to(DOCS).parts)
)
PROSE = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + PAGES
INCLUDES = {DOCS / "project" / name for name in ("changelog.md", "contributing.md")}
WORDS = 25
LINES_BEFORE_CODE = 12


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def without_code(text: str) -> str:
    """Return the text without code blocks, equations and what MyST reads."""
    return re.sub(r"^(```|\$\$).*?^\1\s*$|^    [^\n]*$", "", text, flags=re.MULTILINE | re.DOTALL)


def cells_and_paragraphs(text: str) -> Iterator[str]:
    """Yield each cell of a table, and each paragraph or item of a list as one line, with code as one word."""
    for block in re.split(r"\n\s*\n|\n(?=- |\d+\. |\||#)", without_code(text)):
        plain = re.sub(r"\]\([^)]*\)", "]", re.sub(r"`[^`]*`|\$[^$]*\$|<[^>]*>", "code", " ".join(block.split())))
        if plain and not plain.startswith(("#", "![")):
            yield from plain.split("|") if plain.startswith("|") else [plain]


def sentences(text: str) -> Iterator[str]:
    for paragraph in cells_and_paragraphs(text):
        yield from re.split(r"(?<=[.?!:])[*_)\]]*\s+(?=[A-Z*_\[(]|code|torch|jaxinit|pip|timm)", paragraph)


@pytest.mark.parametrize("page", PROSE, ids=named)
def test_no_sentence_is_long(page: Path) -> None:
    assert not [sentence for sentence in sentences(page.read_text()) if len(sentence.split()) > WORDS]


@pytest.mark.parametrize("page", PROSE, ids=named)
def test_no_sentence_has_a_semicolon(page: Path) -> None:
    assert not [line for line in cells_and_paragraphs(page.read_text()) if ";" in line]


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name != "index.md" and "guides" in page.parts], ids=named
)
def test_a_guide_begins_with_code(page: Path) -> None:
    before, code, _ = page.read_text().partition("```")
    assert code
    assert len(re.sub(r"^ {4}.*\n", "", before, flags=re.MULTILINE).splitlines()) <= LINES_BEFORE_CODE
    assert before.count("\n#") == 0


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "index.md"], ids=named)
def test_the_index_of_its_part_links_to_it(page: Path) -> None:
    folder = next(folder for folder in page.parents if (folder / "index.md").exists())
    targets = re.findall(r"\]\(([^)#]+)", (folder / "index.md").read_text())
    assert page in {(folder / target).resolve() for target in targets}


@pytest.mark.parametrize("folder", sorted({page.parent for page in PAGES}), ids=named)
def test_no_folder_has_more_than_twelve_files(folder: Path) -> None:
    assert len([path for path in folder.iterdir() if path.is_file()]) <= 12
