"""What the running app carries for the rooms below the doors: its settings."""

from typing import cast

from flask import current_app

from portal.core.config import Settings


def settings() -> Settings:
    """The frozen settings `create_app` was given."""
    return cast(Settings, current_app.config["PORTAL"])
