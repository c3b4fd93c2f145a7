"""The deployment files in docs/ match the existing commands and settings."""

import configparser
import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
import yaml  # type: ignore[import-untyped]

from portal.cli.main import portal
from portal.core.config import load_settings
from portal.gateways.queue import QUEUES
from portal.processes.redis_rights import REDIS_RIGHTS
from tests.support import servers

DOCS = servers.ROOT / "docs"
SYSTEMD_UNITS = sorted((DOCS / "systemd").glob("*.service"))
COMPOSE: dict[str, Any] = yaml.safe_load((DOCS / "compose" / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PORTAL_SERVICES = {name: service for name, service in SERVICES.items() if service["image"] == "notification-portal"}
CONFIGURATION = ("config.py", "rules/oidc_settings.py")
KNOWN_VARIABLES = {
    name
    for file in CONFIGURATION
    for name in re.findall(r'"(PORTAL_[A-Z_]+[A-Z])"', (servers.ROOT / "portal" / "core" / file).read_text())
}
PORTAL_COMMAND = "/opt/portal/.venv/bin/portal"


def parse_portal_command(arguments: list[str]) -> click.Command:
    """Resolve the command and parse its options, without running it."""
    command: click.Command = portal
    while isinstance(command, click.Group):
        name, subcommand, arguments = command.resolve_command(click.Context(command), arguments)
        assert subcommand
        assert name
        command = subcommand
    command.make_context(command.name, list(arguments))
    return command


def read_unit(path: Path) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(path)
    return unit


def read_variables(path: Path) -> dict[str, str]:
    """The variables of an env file, as a shell reads them."""
    return dict(line.split("=", 1) for line in shlex.split(path.read_text(), comments=True))


@pytest.mark.parametrize("path", SYSTEMD_UNITS, ids=lambda path: path.name)
def test_unit_starts_an_existing_command_and_restarts_it(path: Path) -> None:
    service = read_unit(path)["Service"]
    for queue in QUEUES:
        command = shlex.split(service["ExecStart"].replace("%i", queue))
        assert command[0] == PORTAL_COMMAND
        parse_portal_command(command[1:])
    assert (service["Restart"], service["KillMode"], service["TimeoutStopSec"]) == ("always", "mixed", "60")
    assert "TZ=UTC" in service["Environment"].split()
    assert set(re.findall(r"PORTAL_[A-Z_]+", service["Environment"])) <= KNOWN_VARIABLES
    assert read_unit(path)["Unit"]["StartLimitIntervalSec"] == "0"


def test_unknown_command_is_detected() -> None:
    for arguments in (["webb"], ["web", "--prot", "1"], ["worker", "sweep"], ["db", "upgrade", "a", "b"]):
        with pytest.raises(click.UsageError):
            parse_portal_command(arguments)


@pytest.mark.parametrize("name", PORTAL_SERVICES)
def test_service_runs_an_existing_command(name: str) -> None:
    service = PORTAL_SERVICES[name]
    parse_portal_command(service["command"])
    assert service["init"] is True
    assert service["stop_grace_period"] == "60s"
    assert service["environment"]["TZ"] == "UTC"
    assert service["env_file"] == "portal.env"
    assert service["restart"] == ("no" if name == "migrate" else "always")


def test_every_process_has_a_service_that_waits_for_migrations() -> None:
    commands = [service["command"] for service in PORTAL_SERVICES.values()]
    assert [["worker", queue] in commands for queue in QUEUES] == [True] * 3
    assert PORTAL_SERVICES["scheduler"]["deploy"]["replicas"] == 2
    for name, service in PORTAL_SERVICES.items():
        conditions = {other: options["condition"] for other, options in service["depends_on"].items()}
        of_migrate = {"postgres": "service_healthy"}
        of_others = {"migrate": "service_completed_successfully", "valkey": "service_healthy"}
        assert conditions == (of_migrate if name == "migrate" else of_others)


def test_data_services_are_persistent_and_internal() -> None:
    for name in ("postgres", "valkey"):
        service = SERVICES[name]
        assert service["volumes"][0].partition(":")[0] in COMPOSE["volumes"]
        assert service["network_mode"] == "none"
        assert "ports" not in service
        assert service["healthcheck"]
        assert service["restart"] == "always"
    options = " ".join(SERVICES["valkey"]["command"])
    assert "--appendonly yes" in options
    assert "--maxmemory-policy noeviction" in options
    assert [port for service in SERVICES.values() for port in service.get("ports", [])] == ["127.0.0.1:8000:8000"]


def test_valkey_grants_the_rights_of_the_product_and_no_others() -> None:
    (user,) = (DOCS / "compose" / "valkey.acl").read_text().splitlines()
    assert user == " ".join(("user", "default", "on", "nopass", *REDIS_RIGHTS))
    assert f"user portal on >PASSWORD {' '.join(REDIS_RIGHTS[:7])} …" in (DOCS / "operating.md").read_text()


def test_example_settings_are_valid_with_secrets(tmp_path: Path) -> None:
    """The secrets are in files, as the compose file hands them to the processes."""
    example = read_variables(DOCS / "compose" / "portal.env.example")
    in_files = {name: path for name, path in SERVICES["web"]["environment"].items() if name.startswith("PORTAL_")}
    assert set(example) | {name.removesuffix("_FILE") for name in in_files} <= KNOWN_VARIABLES
    key = "q8Zt2mVxP0c7JwN5hYbR1uKdSgLfE3aTiOoXvQ9yM4A="
    secrets = {name: key for name in ("secret_key", "encryption_key")}
    secrets["database_url"] = "postgresql://portal:9tWk2LrX0c@/portal?host=/run/postgresql"
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o400)
    read_here = {name: path.replace("/run/secrets", str(tmp_path)) for name, path in in_files.items()}
    settings = load_settings({**example, **read_here, "PORTAL_ENV": "production"})
    assert settings.trusted_proxies == 1
    assert settings.mail_from == "Certification Board <notifications@example.org>"
    assert settings.secret_key == key
    assert settings.redis_url.removeprefix("unix://") in SERVICES["valkey"]["command"]
    assert {"valkey-socket:/run/valkey", "postgres-socket:/run/postgresql"} == set(SERVICES["web"]["volumes"])


def test_image_contains_all_files_it_copies() -> None:
    copies = re.findall(r"^COPY (.+) \S+$", (DOCS / "compose" / "Dockerfile").read_text(), re.MULTILINE)
    copied = " ".join(copies).split()
    allowed = re.findall(r"^!(.+)$", (servers.ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(copied) == sorted(allowed)
    assert all((servers.ROOT / name).exists() for name in copied)


def test_manual_lists_every_setting() -> None:
    table = re.findall(r"^\| `(PORTAL_[A-Z_]+)` \|", (DOCS / "operating.md").read_text(), re.MULTILINE)
    assert set(table) == KNOWN_VARIABLES
    assert len(table) == len(set(table))


def test_manual_names_existing_commands() -> None:
    text = (DOCS / "operating.md").read_text()
    blocks = re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in re.findall(r"\.venv/bin/portal ([^#\n]+)", block)]
    assert len(commands) > 5
    for line in commands:
        parse_portal_command(shlex.split(line))
