"""Browsers run a vendored script only if it is the one that vendor.lock names."""

import tomllib
from functools import lru_cache
from pathlib import Path

from flask import Flask, current_app


def init_app(app: Flask) -> None:
    app.jinja_env.globals["vendor_integrity"] = _vendor_integrity


def _vendor_integrity(file_name: str) -> str:
    return _integrity_by_file(str(current_app.static_folder))[file_name]


@lru_cache(maxsize=4)
def _integrity_by_file(static_folder: str) -> dict[str, str]:
    lock = tomllib.loads((Path(static_folder) / "vendor" / "vendor.lock").read_text())
    return {file["to"]: file["integrity"] for package in lock["package"] for file in package["file"]}
