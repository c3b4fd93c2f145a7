"""The picture and the paths in the documents are those of the code."""

import ast
import re
import tomllib
from collections.abc import Iterator
from itertools import pairwise, product
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "architecture.md"
DOCUMENTS = [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
_HISTORY = {ROOT / "docs" / "style.md"}
"""Its examples of earlier code are quoted as they were."""
_ARROW = re.compile(r'^ +(\w+)(?:\["[^"]*"\])? --> (\w+)$', re.MULTILINE)
_PATH = re.compile(r"\b(?:portal|jobs|simulator|tests|migrations)/[\w./-]*\w\.py\b")
_STATUS = re.compile(r"^Status: (?:accepted|superseded)\b[^#]*?\bDate:\s+\d{4}-\d{2}-\d{2}", re.MULTILINE)
_NAMED = re.compile(r"`(\w+)` in\s+`((?:portal|jobs)/[\w./-]+\.py)`")


def _layers() -> list[list[str]]:
    """The layers of the import contract, top first; modules of one layer may not import each other."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    return [[module.split(".")[-1].strip("_ ") for module in layer.split("|")] for layer in layers]


def _cited(pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
    for document in DOCUMENTS:
        if document not in _HISTORY:
            yield from ((document, match) for match in pattern.finditer(document.read_text(encoding="utf-8")))


def _defined_names(module: Path) -> set[str]:
    definitions = ast.FunctionDef | ast.ClassDef
    return {node.name for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, definitions)}


def test_the_picture_shows_the_layers_of_the_import_contract() -> None:
    arrows = sorted(_ARROW.findall(PICTURE.read_text(encoding="utf-8")))
    assert arrows == sorted(arrow for upper, lower in pairwise(_layers()) for arrow in product(upper, lower))


def test_every_folder_of_portal_is_a_layer_or_named_apart() -> None:
    folders = {path.parent.name for path in (ROOT / "portal").glob("*/__init__.py")}
    assert folders - {module for layer in _layers() for module in layer} == {"processes"}


def test_paths_named_in_documents_exist() -> None:
    missing = {f"{document.name}: {match[0]}" for document, match in _cited(_PATH) if not (ROOT / match[0]).is_file()}
    assert not missing, "\n".join(sorted(missing))


def test_functions_named_in_documents_exist() -> None:
    named = [(document, match[1], ROOT / match[2]) for document, match in _cited(_NAMED)]
    missing = {f"{doc.name}: {name} in {path}" for doc, name, path in named if name not in _defined_names(path)}
    assert len(named) > 20
    assert not missing, "\n".join(sorted(missing))


def test_the_path_of_a_text_fits_on_one_screen() -> None:
    files = [ROOT / "portal" / "delivery" / f"sms_{step}.py" for step in ("claim", "call", "results")]
    text = PICTURE.read_text(encoding="utf-8")
    assert all(str(file.relative_to(ROOT)) in text for file in files)
    assert sum(len(file.read_text(encoding="utf-8").splitlines()) for file in files) <= 150


def test_the_index_lists_every_decision_with_its_title() -> None:
    folder = ROOT / "docs" / "adr"
    records = sorted(folder.glob("*/*.md"), key=lambda path: path.name)
    titles = [record.read_text(encoding="utf-8").partition("\n")[0] for record in records]
    index = re.findall(r"^\| \[(\d+)\]\(([^)]+)\) \| ([^|]+) \|", (folder / "README.md").read_text(), re.MULTILINE)
    assert [(f"# {number}. {title}", path) for number, path, title in index] == [
        (title, str(record.relative_to(folder))) for title, record in zip(titles, records, strict=True)
    ]


def test_every_decision_has_a_status_and_a_date() -> None:
    records = (ROOT / "docs" / "adr").glob("*/*.md")
    assert not [record.name for record in records if not _STATUS.search(record.read_text(encoding="utf-8"))]
