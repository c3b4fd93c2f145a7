"""Imports the product and creates the app once, in `portal up`, for all processes that it forks (ADR 31)."""

import gc
import os
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from importlib import import_module

_MODULES = (
    "portal.cli.db_commands",
    "portal.processes.buffering_worker",
    "gunicorn.app.wsgiapp",
    "jobs.worker",
    "jobs.scheduler",
)


def prepare(environment: Mapping[str, str], *arguments: str) -> Callable[[], object]:
    """Return a function that runs `portal ARGUMENTS` in a fork of this process, which takes on the environment."""
    from portal.cli.main import portal

    os.environ.update(environment)
    gc.disable()  # what it frees now would be filled in each child, at the price of a copied page
    _load_product()
    if arguments[0] == "simulator":
        import_module("simulator.cli")
    gc.freeze()  # a collection in a child would write to every object that it looks at
    gc.enable()
    return partial(portal.main, arguments, prog_name="portal")


@cache
def _load_product() -> None:
    from sqlalchemy.orm import configure_mappers

    from jobs.app import app
    from portal.core.translation import LANGUAGES, language_named

    time.tzset()
    for module in _MODULES:
        import_module(module)
    for code in LANGUAGES:
        language_named(code)
    app()
    configure_mappers()
