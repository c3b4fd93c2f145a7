"""The notification portal. The web server, the workers and the command line all start with `create_app`."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from flask import Flask

    from portal.core.config import Settings


def create_app(settings: "Settings | None" = None) -> "Flask":
    """Create the app for `settings`, by default those of the environment.

    Raises `ConfigError` if the settings are invalid.
    """
    # Imported here, so that `portal up` reports a problem of the machine before it waits for Flask.
    from flask import Flask

    import portal.tables  # noqa: F401  registers all tables
    from portal import web
    from portal.core import logging_setup
    from portal.core.config import load_settings
    from portal.core.extensions import db, migrate
    from portal.core.schema_version import MIGRATIONS
    from portal.settings import installation, log_key_cipher

    settings = settings or load_settings()
    logging_setup.configure(settings.log_format)
    app = Flask(__name__)
    app.config.update(web.flask_config(settings))
    db.init_app(app)
    migrate.init_app(app, db, directory=str(MIGRATIONS), render_as_batch=True)
    installation.init_app(app)
    log_key_cipher.init_app(app)
    web.init_app(app)
    return app
