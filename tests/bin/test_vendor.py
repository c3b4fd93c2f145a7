"""The vendored front-end files match vendor.lock."""

import base64
import hashlib
import tomllib
from pathlib import Path
from typing import Any

import pytest

VENDOR = Path(__file__).resolve().parent.parent.parent / "portal/static/vendor"
FILES = [file for package in tomllib.loads((VENDOR / "vendor.lock").read_text())["package"] for file in package["file"]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["to"])
def test_vendored_file_matches_its_hash(file: dict[str, Any]) -> None:
    digest = hashlib.sha384((VENDOR / file["to"]).read_bytes()).digest()
    assert f"sha384-{base64.b64encode(digest).decode()}" == file["integrity"]


def test_vendor_folder_has_no_unlisted_files() -> None:
    assert {path.name for path in VENDOR.iterdir()} == {file["to"] for file in FILES} | {"vendor.lock"}


def test_every_package_includes_its_licence() -> None:
    packages = tomllib.loads((VENDOR / "vendor.lock").read_text())["package"]
    assert all(any("LICENSE" in file["to"] for file in package["file"]) for package in packages)
