"""The app of this process, created once."""

from functools import lru_cache

from flask import Flask

from portal import create_app


@lru_cache(maxsize=1)
def app() -> Flask:
    return create_app()
