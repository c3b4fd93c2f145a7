"""The settings of the current app."""

from collections.abc import Callable
from typing import cast

from flask import Flask, current_app

from portal.core.config import Settings

COMPLETION_KEY = "completion of the settings"
"""In `app.extensions`: completes the settings of the environment with what is stored (`settings.installation`)."""


def settings() -> Settings:
    """The settings passed to `create_app`, and what has been saved in the browser where no variable is set (ADR 50)."""
    base = environment_settings()
    complete: Callable[[Settings], Settings] | None = current_app.extensions.get(COMPLETION_KEY)
    return complete(base) if complete else base


def environment_settings(app: Flask | None = None) -> Settings:
    """Without what has been saved."""
    return cast(Settings, (app or current_app).config["PORTAL"])
