"""The settings of the current app."""

from typing import cast

from flask import current_app

from portal.core.config import Settings


def settings() -> Settings:
    """The settings passed to `create_app`."""
    return cast(Settings, current_app.config["PORTAL"])
