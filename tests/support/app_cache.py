"""Caches across the apps of a test run: compiled routes, templates and SQL statements; and pages on demand.

Nearly every test creates its own app and engine; otherwise these take a third of its time.
"""

import contextlib
import gc
from collections.abc import Callable, Hashable, Iterator
from threading import RLock
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule

from portal import web


def freeze_garbage_collector() -> None:
    """Exclude everything imported so far from garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@contextlib.contextmanager
def cached_app_setup() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(web, "register_pages", _PagesOnDemand.wait_for_use)
        patch.setattr(Rule, "compile", _cached_route_compilation(Rule.compile))
        patch.setitem(Flask.jinja_options, "bytecode_cache", _TemplateBytecodeCache())
        statements = _StatementCache()
        patch.setattr(Engine, "_compiled_cache", property(lambda _: statements, lambda *_: None), raising=False)
        yield


class _PagesOnDemand(Flask):
    """Registers the pages when something first asks for a route; most tests of packages never do."""

    _LOCK = RLock()
    _register = staticmethod(web.register_pages)
    _OF_ROUTES = frozenset({"url_map", "view_functions", "test_client", "wsgi_app"})

    @classmethod
    def wait_for_use(cls, app: Flask) -> None:
        app.__class__ = cls

    def __getattribute__(self, name: str) -> Any:
        if name in _PagesOnDemand._OF_ROUTES:
            _PagesOnDemand._register_once(self)
        return object.__getattribute__(self, name)

    @staticmethod
    def _register_once(app: Flask) -> None:
        """Other threads wait for the one that registers, which asks for routes itself."""
        with _PagesOnDemand._LOCK:
            if "pages_asked_for" not in app.extensions:
                app.extensions["pages_asked_for"] = True
                _PagesOnDemand._register(app)
                app.__class__ = Flask


def _cached_route_compilation(compile_route: Callable[[Rule], None]) -> Callable[[Rule], None]:
    compiled: dict[Hashable, Rule] = {}

    def compile_once(rule: Rule) -> None:
        assert rule.map is not None
        key = (rule.rule, str(rule.defaults), rule.subdomain, rule.host, rule.map.host_matching, rule.merge_slashes)
        if key not in compiled:
            compile_route(rule)
            compiled[key] = rule
            return
        cached = compiled[key]
        rule._parts, rule._trace, rule._converters = cached._parts, cached._trace, cached._converters
        rule.arguments = set(cached.arguments)
        rule._build, rule._build_unknown = (
            build.__func__.__get__(rule, None)  # type: ignore[attr-defined]
            for build in (cached._build, cached._build_unknown)
        )

    return compile_once


class _TemplateBytecodeCache(BytecodeCache):
    def __init__(self) -> None:
        self._code: dict[tuple[str, str], CodeType] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        if bucket.code is not None:
            self._code[bucket.key, bucket.checksum] = bucket.code


class _StatementCache(dict[Any, Any]):
    """Compiled SQL, shared by all engines of a dialect: the key holds the dialect's name, not the object."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)
