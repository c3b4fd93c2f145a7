"""Caches across the apps of a test run: compiled routes, templates and SQL statements.

Nearly every test creates its own app and engine; without the caches these take a third of its time.
"""

import contextlib
import gc
from collections.abc import Callable, Hashable, Iterator
from types import CodeType
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule


def freeze_garbage_collector() -> None:
    """Exclude everything imported so far from garbage collection."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@contextlib.contextmanager
def cached_app_setup() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "compile", _cached_route_compilation(Rule.compile))
        patch.setitem(Flask.jinja_options, "bytecode_cache", _TemplateBytecodeCache())
        statements = _StatementCache()
        patch.setattr(Engine, "_compiled_cache", property(lambda _: statements, lambda *_: None), raising=False)
        yield


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
