"""Names use the field's standard terms, each module and class has a name of its own, and folders stay small."""

import ast
import re
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePath

import pytest

ROOT = Path(__file__).parents[2]
CODE = ("portal", "jobs", "simulator", "tests", "benchmarks", "bin", "migrations")
PRODUCT = ("portal", "jobs", "simulator")
LIMITED_FOLDERS = ("portal", "jobs", "simulator", "tests", "benchmarks", "docs")
MAX_FILES_PER_FOLDER = 20

STANDARD_TERMS = {
    "allotment": "sender assignment",
    "asker": "actor",
    "bell": "wake-up",
    "beside": "what the thing is",
    "burned": "consumed",
    "crew": "process group",
    "deaf": "cooldown",
    "doorbell": "wake-up",
    "doubt": "unknown or unresolved",
    "doubts": "unresolved",
    "foresee": "estimate",
    "guardian": "orphan reaper",
    "heed": "handle",
    "knock": "probe",
    "lately": "recent",
    "mailed": "handed off",
    "mend": "fix",
    "mistake": "error",
    "mistakes": "errors or invalid inputs",
    "night": "quiet hours",
    "oracle": "invariants",
    "outflow": "lane simulation",
    "outlook": "send preview",
    "pigeon": "fake provider",
    "prospect": "estimate",
    "roster": "account CSV",
    "rung": "woken",
    "seal": "encrypt",
    "sealed": "encrypted",
    "sealing": "encryption",
    "seat": "sender capacity",
    "seats": "SMS scheduling",
    "sought": "filter",
    "standstill": "block reason",
    "steer": "control or apply",
    "steering": "state sync or control",
    "suppressed": "opted out",
    "surroundings": "lane context or provider config",
    "sweep": "maintenance",
    "switchboard": "provider router",
    "tide": "restore guard",
    "twin": "duplicate",
    "twins": "duplicates",
    "unreported": "no receipt",
    "unrung": "poll the database",
    "vitals": "health",
    "whom": "recipient",
    "wiring": "webhook config",
    "young": "recent",
    "zygote": "fork server",
}
"""Words without a legitimate use in a name here, and the term that the field uses instead."""

STANDARD_SCHEMA_NAMES = {
    "asks": "needs_review",
    "away_since_ms": "down_since_ms",
    "bookmark": "sync_cursor",
    "expanded_through": "fan_out_cursor",
    "handset": "phone_state",
    "heard": "source",
    "holds_sms": "receives_sms",
    "knows": "preferred_sender",
    "lifts_no_stop": "cannot_clear_stop",
    "reading": "classification",
    "rests_until_ms": "retry_at_ms",
    "rests_until_us": "retry_at_us",
    "sender_state": "sending_number",
    "steered_at_ms": "cancel_applied_at_ms",
    "sure": "order_confirmed",
    "turn": "queue_position",
    "useful_hours": "sms_expiry_hours",
    "words": "text",
}
"""Names that no table, column or index may have, and the ones to use."""

STANDARD_STATES = {
    "dead": "expired",
    "held": "paused",
    "mailed": "handed_off",
    "quiet": "deferred",
    "suppressed": "opted_out",
    "unreported": "no_receipt",
}

_NAME = re.compile(r"[A-Za-z_]\w*")
_STRING_OR_COMMENT = re.compile(
    r'''(?P<quotes>"""|\'\'\')(?:\\.|[^\\])*?(?P=quotes)|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|\#[^\n]*''',
    re.DOTALL,
)
_WORDS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_SCHEMA_CALLS = {"Column", "add_column", "create_index", "create_table", "mapped_column"}


_CLASS = re.compile(r"^ *class (\w+)", re.MULTILINE)


@cache
def _tracked_files() -> tuple[PurePath, ...]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return tuple(PurePath(name) for name in listed.split("\0") if name and (ROOT / name).is_file())


@cache
def _python_files(*folders: str) -> list[tuple[PurePath, str]]:
    """The path and the text of each Python file in these folders."""
    files = [path for path in _tracked_files() if path.suffix == ".py" and path.parts[0] in folders]
    return [(path, (ROOT / path).read_text(encoding="utf-8")) for path in files]


@cache
def _private_words(name: str) -> list[str]:
    return [word.lower() for word in _WORDS.findall(name) if word.lower() in STANDARD_TERMS]


def _names(source: str) -> Iterator[tuple[int, str]]:
    """The names and keywords of a Python file, with their lines."""
    code = _STRING_OR_COMMENT.sub(lambda match: "\n" * match[0].count("\n"), source)
    for number, line in enumerate(code.splitlines(), start=1):
        for name in _NAME.findall(line):
            yield number, name


def _schema_names(source: str) -> Iterator[tuple[int, str]]:
    """The names of tables, columns and indexes in a Python file, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and _called_name(node.func) in _SCHEMA_CALLS:
            for argument in node.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    yield argument.lineno, argument.value


def _called_name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _state_names(source: str) -> Iterator[tuple[int, str]]:
    """The values of the enumerations of states in a Python file, with their lines."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ClassDef) and node.name.endswith("State"):
            for statement in node.body:
                if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Constant):
                    yield statement.lineno, str(statement.value.value)


def test_names_use_standard_terms() -> None:
    problems = [
        f"{path}:{line}: {name}: write “{STANDARD_TERMS[word]}” instead of “{word}”"
        for path, source in _python_files(*CODE)
        for line, name in _names(source)
        for word in _private_words(name)
    ]
    assert not problems, "\n".join(problems)


def test_file_names_use_standard_terms() -> None:
    problems = [
        f"{path}:1: write “{STANDARD_TERMS[word]}” instead of “{word}”"
        for path in _tracked_files()
        if path.parts[0] in CODE
        for word in _private_words(str(path))
    ]
    assert not problems, "\n".join(problems)


def test_schema_names_use_standard_terms() -> None:
    problems = [
        f"{path}:{line}: write “{STANDARD_SCHEMA_NAMES[name]}” instead of “{name}”"
        for path, source in _python_files("migrations", "portal")
        if "olumn(" in source
        for line, name in _schema_names(source)
        if name in STANDARD_SCHEMA_NAMES
    ]
    assert not problems, "\n".join(problems)


def test_states_use_standard_terms() -> None:
    problems = [
        f"{path}:{line}: write “{STANDARD_STATES[name]}” instead of “{name}”"
        for path, source in _python_files("portal")
        if "StrEnum" in source
        for line, name in _state_names(source)
        if name in STANDARD_STATES
    ]
    assert not problems, "\n".join(problems)


def test_no_two_modules_have_the_same_name() -> None:
    modules: dict[str, list[str]] = defaultdict(list)
    for path, _ in _python_files(*PRODUCT):
        if not path.stem.startswith("__"):
            modules[path.stem].append(str(path))
    assert not _shared(modules), f"rename all but one: {_shared(modules)}"


def test_no_two_classes_have_the_same_name() -> None:
    classes: dict[str, list[str]] = defaultdict(list)
    for path, source in _python_files(*PRODUCT):
        for name in _CLASS.findall(source):
            classes[name].append(str(path))
    assert not _shared(classes), f"rename all but one: {_shared(classes)}"


def _shared(places: dict[str, list[str]]) -> dict[str, list[str]]:
    return {name: shared for name, shared in places.items() if len(shared) > 1}


def test_no_folder_has_more_than_twenty_files() -> None:
    counts = Counter(str(path.parent) for path in _tracked_files() if path.parts[0] in LIMITED_FOLDERS)
    crowded = {folder: count for folder, count in counts.items() if count > MAX_FILES_PER_FOLDER}
    assert not crowded, f"split these folders: {crowded}"


@pytest.mark.parametrize(
    ("name", "words"),
    [("whom_start_would_give", ["whom"]), ("MailKnock", ["knock"]), ("SMSSeat", ["seat"]), ("forecast", [])],
)
def test_private_words_are_found_in_names(name: str, words: list[str]) -> None:
    assert _private_words(name) == words


def test_only_names_outside_strings_and_comments_are_checked() -> None:
    source = '"""At night,\\nthe tide."""\nx = f"{whom}"  # doubt\ndef heed(tide: str = "it\'s") -> None: ...  # bell\n'
    assert [(line, name) for line, name in _names(source) if _private_words(name)] == [(3, "heed"), (3, "tide")]


def test_schema_and_state_names_are_found() -> None:
    source = 'op.create_table("handset", sa.Column("knows"))\nclass DeliveryState:\n    DEAD = "dead"\n'
    assert [name for _, name in _schema_names(source)] == ["handset", "knows"]
    assert list(_state_names(source)) == [(3, "dead")]
