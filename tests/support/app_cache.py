"""Nearly every test makes an app and an engine of its own; what comes out the same each time is made once.

Routes, templates and statements made again and again would be a third of all that such a test costs.
"""

import contextlib
import gc
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import pytest
from flask import Flask
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine import Engine
from werkzeug.routing import Rule


def freeze_garbage_collector() -> None:
    """What is imported by now stays, so nobody need look through it again after every few apps."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)


@contextlib.contextmanager
def cached_app_setup() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Rule, "compile", _cached_route_compilation(Rule.compile))
        patch.setitem(Flask.jinja_options, "bytecode_cache", _TemplateBytecodeCache())
        known = _StatementCache()
        patch.setattr(Engine, "_compiled_cache", property(lambda _: known, lambda *_: None), raising=False)
        yield


def _cached_route_compilation(compile_anew: Callable[[Rule], None]) -> Callable[[Rule], None]:
    """A hundred routes, each parsed and made into a function that builds its address."""
    known: dict[Hashable, Rule] = {}

    def compile_once(rule: Rule) -> None:
        assert rule.map is not None
        key = (rule.rule, str(rule.defaults), rule.subdomain, rule.host, rule.map.host_matching, rule.merge_slashes)
        if key not in known:
            compile_anew(rule)
            known[key] = rule
            return
        like = known[key]
        rule._parts, rule._trace, rule._converters = like._parts, like._trace, like._converters
        rule.arguments = set(like.arguments)
        rule._build, rule._build_unknown = (
            build.__func__.__get__(rule, None)  # type: ignore[attr-defined]
            for build in (like._build, like._build_unknown)
        )

    return compile_once


class _TemplateBytecodeCache(BytecodeCache):
    """Templates of pages, made into Python."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if code := self._known.get((bucket.key, bucket.checksum)):
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key, bucket.checksum] = bucket.bytecode_to_string()


class _StatementCache(dict[Any, Any]):
    """Queries, made into SQL. The key names the dialect of one engine; those of a kind speak the same language."""

    def get(self, key: Any, default: Any = None) -> Any:
        return super().get((key[0].name, *key[1:]), default)

    def __setitem__(self, key: Any, compiled: Any) -> None:
        super().__setitem__((key[0].name, *key[1:]), compiled)
