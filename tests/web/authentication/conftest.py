"""Accounts with passwords, and settings that a test changes."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask


@pytest.fixture(autouse=True)
def everybody_has_a_password(accounts_have_passwords: None) -> None:
    """In every test of this folder."""


@pytest.fixture
def configure(web_app: Flask) -> Callable[..., None]:
    """Change settings of the environment."""

    def change(**values: Any) -> None:
        web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], **values)

    return change
