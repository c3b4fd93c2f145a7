"""What docs/ offers to copy, systemd units and a compose file, held against the commands and settings there are."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from portal.cli.main import portal
from portal.core.config import load_settings
from portal.gateways.queue import QUEUES
from tests.support import servers

DOCS = servers.ROOT / "docs"
SYSTEMD_UNITS = sorted((DOCS / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCS / "compose" / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PORTAL_SERVICES = {name: service for name, service in SERVICES.items() if service["image"] == "notification-portal"}
KNOWN_VARIABLES = set(re.findall(r'"(PORTAL_[A-Z_]+)"', (servers.ROOT / "portal" / "config.py").read_text()))
PORTAL_COMMAND = "/opt/portal/.venv/bin/portal"


def parse_portal_command(words: list[str]) -> click.Command:
    """The command that these words reach, options and arguments understood; nothing is run."""
    command: click.Command = portal
    while isinstance(command, click.Group):
        name, found, words = command.resolve_command(click.Context(command), words)
        assert found
        assert name
        command = found
    command.make_context(command.name, list(words))
    return command


def unit(path: Path) -> configparser.ConfigParser:
    found = configparser.ConfigParser(interpolation=None)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    found.read(path)
    return found


def variables(path: Path) -> dict[str, str]:
    """Of an env file, as a shell would read it."""
    return dict(word.split("=", 1) for word in shlex.split(path.read_text(), comments=True))


@pytest.mark.parametrize("path", SYSTEMD_UNITS, ids=lambda path: path.name)
def test_a_unit_starts_a_command_there_is_and_is_kept_running(path: Path) -> None:
    service = unit(path)["Service"]
    for queue in QUEUES:
        words = shlex.split(service["ExecStart"].replace("%i", queue))
        assert words[0] == PORTAL_COMMAND
        parse_portal_command(words[1:])
    assert (service["Restart"], service["KillMode"], service["TimeoutStopSec"]) == ("always", "mixed", "60")
    assert "TZ=UTC" in service["Environment"].split()
    assert set(re.findall(r"PORTAL_[A-Z_]+", service["Environment"])) <= KNOWN_VARIABLES
    assert unit(path)["Unit"]["StartLimitIntervalSec"] == "0"


def test_a_word_that_is_no_command_would_be_noticed() -> None:
    for words in (["webb"], ["web", "--prot", "1"], ["worker", "sweep"], ["db", "upgrade", "a", "b"]):
        with pytest.raises(click.UsageError):
            parse_portal_command(words)


@pytest.mark.parametrize("name", PORTAL_SERVICES)
def test_a_service_of_ours_runs_a_command_there_is(name: str) -> None:
    service = PORTAL_SERVICES[name]
    parse_portal_command(service["command"])
    assert service["init"] is True
    assert service["stop_grace_period"] == "60s"
    assert service["environment"]["TZ"] == "UTC"
    assert service["env_file"] == "portal.env"
    assert service["restart"] == ("no" if name == "migrate" else "always")


def test_every_process_there_is_has_a_service_and_the_tables_come_first() -> None:
    commands = [service["command"] for service in PORTAL_SERVICES.values()]
    assert [["worker", queue] in commands for queue in QUEUES] == [True] * 3
    assert PORTAL_SERVICES["scheduler"]["deploy"]["replicas"] == 2
    for name, service in PORTAL_SERVICES.items():
        waits = {other: how["condition"] for other, how in service["depends_on"].items()}
        first = {"postgres": "service_healthy"}
        then = {"migrate": "service_completed_successfully", "valkey": "service_healthy"}
        assert waits == (first if name == "migrate" else then)


def test_what_holds_data_keeps_it_and_is_reached_from_inside_alone() -> None:
    for name in ("postgres", "valkey"):
        service = SERVICES[name]
        assert service["volumes"][0].partition(":")[0] in COMPOSE["volumes"]
        assert service["networks"] == ["data"]
        assert "ports" not in service
        assert service["healthcheck"]
        assert service["restart"] == "always"
    assert COMPOSE["networks"]["data"]["internal"] is True
    options = " ".join(SERVICES["valkey"]["command"])
    assert "--appendonly yes" in options
    assert "--maxmemory-policy noeviction" in options
    assert [port for service in SERVICES.values() for port in service.get("ports", [])] == ["127.0.0.1:8000:8000"]


def test_the_settings_of_the_example_do_once_the_keys_are_filled_in() -> None:
    example = variables(DOCS / "compose" / "portal.env.example")
    assert set(example) <= KNOWN_VARIABLES
    key = "q8Zt2mVxP0c7JwN5hYbR1uKdSgLfE3aTiOoXvQ9yM4A="
    password = variables(DOCS / "compose" / "postgres.env.example")["POSTGRES_PASSWORD"]
    assert f":{password}@postgres/" in example["PORTAL_DATABASE_URL"]
    example["PORTAL_DATABASE_URL"] = example["PORTAL_DATABASE_URL"].replace(password, "9tWk2LrX0c")
    assert (example.pop("PORTAL_SECRET_KEY"), example.pop("PORTAL_ENCRYPTION_KEY")) == ("", "")
    found = load_settings(
        {**example, "PORTAL_ENV": "production", "PORTAL_SECRET_KEY": key, "PORTAL_ENCRYPTION_KEY": key}
    )
    assert found.trusted_proxies == 1
    assert found.mail_from == "Certification Board <notifications@example.org>"
    folder, socket = found.redis_url.removeprefix("unix://").rsplit("/", 1)
    assert SERVICES["web"]["volumes"] == [f"valkey:{folder}"]
    assert f"--unixsocket /data/{socket} " in " ".join(SERVICES["valkey"]["command"])


def test_the_image_holds_what_its_commands_need() -> None:
    copied = re.findall(r"^COPY (\S+)", (DOCS / "compose" / "Dockerfile").read_text(), re.MULTILINE)
    let_in = re.findall(r"^!(.+)$", (servers.ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(let_in)
    assert all((servers.ROOT / name).exists() for name in copied)


def test_every_setting_there_is_stands_in_the_manual() -> None:
    table = re.findall(r"^\| `(PORTAL_[A-Z_]+)` \|", (DOCS / "operating.md").read_text(), re.MULTILINE)
    assert set(table) == KNOWN_VARIABLES
    assert len(table) == len(set(table))


def test_the_manual_names_commands_there_are() -> None:
    text = (DOCS / "operating.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    named = [line for block in blocks for line in re.findall(r"\.venv/bin/portal ([^#\n]+)", block)]
    assert len(named) > 5
    for line in named:
        parse_portal_command(shlex.split(line))
