"""docs/logging.md lists every event that the processes log, with its level and fields, and no others."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
_ROW = re.compile(r"^\| ([^|]+?) \| (info|warning|error|critical|exception) \| ([\w, ]*?) ?\| [^|]+ \|$", re.MULTILINE)
_SPREAD_FIELDS = {
    "daily reconciliation found differences": {"listed", "not_ours", "not_listed"},
    "webhook rejected: invalid signature": {"webhook", "likely", "names_us", "called"},
    "conflicting delivery reports": {"error_code", "recorded", "reported"},
}
"""Of the events whose fields are collected before."""
Event = tuple[str, str]


def _calls() -> Iterator[tuple[Path, ast.Call]]:
    for path in (path for folder in ("portal", "jobs") for path in sorted((ROOT / folder).rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _is_logger(node.func.value):
                yield path, node


def _is_logger(node: ast.expr) -> bool:
    return ast.unparse(node) in ("_log", "structlog.get_logger()")


def _logged() -> dict[Event, set[str]]:
    """Fields by event and level. An exception is no field: it is written as its type and place."""
    found: dict[Event, set[str]] = defaultdict(set)
    for path, call in _calls():
        assert isinstance(call.func, ast.Attribute)
        events = [part.value for part in ast.walk(call.args[0]) if isinstance(part, ast.Constant)]
        assert events, f"{path}:{call.lineno}: an event is a constant, so that operators can search for it"
        for event in events:
            fields = {keyword.arg for keyword in call.keywords if keyword.arg and keyword.arg != "exc_info"}
            found[str(event), call.func.attr] |= fields | _SPREAD_FIELDS.get(str(event), set())
    return found


def test_every_event_is_listed_with_its_level_and_fields() -> None:
    text = (ROOT / "docs" / "logging.md").read_text(encoding="utf-8")
    listed = {(event, level): set(filter(None, fields.split(", "))) for event, level, fields in _ROW.findall(text)}
    assert listed == dict(_logged())
    assert len(listed) > 40
