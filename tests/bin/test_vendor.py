import base64
import hashlib
import tomllib
from pathlib import Path

import pytest

VENDOR = Path(__file__).resolve().parent.parent.parent / "portal/static/vendor"
FILES = [file for package in tomllib.loads((VENDOR / "vendor.lock").read_text())["package"] for file in package["file"]]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file["to"])
def test_a_vendored_file_is_what_the_lock_says(file):
    digest = hashlib.sha384((VENDOR / file["to"]).read_bytes()).digest()
    assert f"sha384-{base64.b64encode(digest).decode()}" == file["integrity"]


def test_there_is_nothing_the_lock_does_not_know():
    assert {path.name for path in VENDOR.iterdir()} == {file["to"] for file in FILES} | {"vendor.lock"}


def test_every_package_comes_with_its_licence():
    packages = tomllib.loads((VENDOR / "vendor.lock").read_text())["package"]
    assert all(any("LICENSE" in file["to"] for file in package["file"]) for package in packages)
