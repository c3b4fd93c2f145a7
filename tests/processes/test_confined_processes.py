"""Units and containers let a process do no more than it needs, so that an attacker who controls it gains little."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bin.programs import find_program
from tests.processes.test_deployment_files import (
    COMPOSE,
    DOCS,
    PORTAL_SERVICES,
    SERVICES,
    SYSTEMD_UNITS,
    read_unit,
)
from tests.support.servers import on_ci

_MOST_EXPOSURE = 15
"""In tenths of the points of systemd-analyze: 0 is shut off, 96 is a unit without any limit."""
_SECRET_VARIABLE = re.compile(r"SECRET|PASSWORD|KEY|DATABASE_URL")
_DIGEST = re.compile(r"@sha256:[0-9a-f]{64}$")
_COMPOSE_FOLDER = DOCS / "compose"


@pytest.fixture
def systemd_analyze() -> str:
    program = find_program("systemd-analyze")
    if program is None:
        assert not on_ci(), "systemd-analyze is missing"
        pytest.skip("systemd-analyze is missing")
    return program


@pytest.mark.parametrize("path", SYSTEMD_UNITS, ids=lambda path: path.name)
def test_unit_is_hardly_exposed(systemd_analyze: str, path: Path) -> None:
    command = [systemd_analyze, "security", "--offline=true", f"--threshold={_MOST_EXPOSURE}", "--no-pager", str(path)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout[-300:] + run.stderr


@pytest.mark.parametrize("path", SYSTEMD_UNITS, ids=lambda path: path.name)
def test_unit_has_no_rights_and_writes_only_its_own_folder(path: Path) -> None:
    service = read_unit(path)["Service"]
    assert service["User"] == "portal"
    assert (service["CapabilityBoundingSet"], service["NoNewPrivileges"]) == ("", "yes")
    assert (service["ProtectSystem"], service["MemoryDenyWriteExecute"]) == ("strict", "yes")
    assert "ReadWritePaths" not in service
    own = {"portal-up.service": "portal", "portal-scheduler.service": "portal-log-heads"}
    assert service.get("StateDirectory") == own.get(path.name)


def test_scheduler_has_a_folder_for_the_ends_of_the_logs() -> None:
    unit = read_unit(DOCS / "systemd" / "portal-scheduler.service")["Service"]
    folder = f"/var/lib/{unit['StateDirectory']}"
    assert f"PORTAL_LOG_HEADS={folder}" in unit["Environment"].split()
    scheduler = SERVICES["scheduler"]
    assert scheduler["environment"]["PORTAL_LOG_HEADS"] == folder
    assert f"log-heads:{folder}" in scheduler["volumes"]
    assert re.search(rf"--owner portal .*{folder}$", (_COMPOSE_FOLDER / "Dockerfile").read_text(), re.MULTILINE)


@pytest.mark.parametrize("path", SYSTEMD_UNITS, ids=lambda path: path.name)
def test_unit_reads_secrets_as_credentials(path: Path) -> None:
    loaded = re.findall(r"^LoadCredential=(\w+):(\S+)$", path.read_text(), re.MULTILINE)
    assert all(file == f"/etc/portal/credentials/{variable}" for variable, file in loaded)
    names = {variable.removeprefix("PORTAL_") for variable, _file in loaded}
    keeps_its_own_keys = path.name == "portal-up.service"
    assert names == (set() if keeps_its_own_keys else {"SECRET_KEY", "ENCRYPTION_KEY", "DATABASE_URL", "REDIS_URL"})


@pytest.mark.parametrize("name", SERVICES)
def test_container_is_confined(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 256
    assert all(int(number) > 0 for number in service["user"].split(":")), "root"
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert not any(":/var/run/docker.sock" in str(volume) for volume in service["volumes"])


@pytest.mark.parametrize("name", SERVICES)
def test_container_gets_its_secrets_in_files(name: str) -> None:
    service = SERVICES[name]
    secret = {key: value for key, value in service.get("environment", {}).items() if _SECRET_VARIABLE.search(key)}
    assert all(value == f"/run/secrets/{Path(value).name}" for value in secret.values())
    assert {Path(value).name for value in secret.values()} <= set(service.get("secrets", ()))
    assert set(service.get("secrets", ())) <= set(COMPOSE["secrets"])


def test_only_processes_that_call_others_have_a_network() -> None:
    online = {name for name, service in SERVICES.items() if service.get("network_mode") != "none"}
    assert online == set(PORTAL_SERVICES) - {"migrate"}
    assert all(SERVICES[name]["networks"] == ["outside"] for name in online)
    assert {name for name in SERVICES if SERVICES[name].get("ports")} == {"web"}


def test_sockets_are_for_the_servers_and_the_group_of_the_portal() -> None:
    group = {service["user"].split(":")[1] for service in PORTAL_SERVICES.values()}
    assert group == {"10001"}
    for volume in ("postgres-socket", "valkey-socket"):
        options = dict(option.split("=") for option in COMPOSE["volumes"][volume]["driver_opts"]["o"].split(","))
        assert options == {"uid": "999", "gid": "10001", "mode": "0750"}


def test_images_are_pinned_by_digest() -> None:
    image = (_COMPOSE_FOLDER / "Dockerfile").read_text()
    bases = re.findall(r"^FROM (\S+)", image, re.MULTILINE)
    others = [service["image"] for name, service in SERVICES.items() if name not in PORTAL_SERVICES]
    assert all(_DIGEST.search(name) for name in [*bases, *others])
    assert re.findall(r"^USER (\S+)", image, re.MULTILINE) == ["10001:10001"]
    assert all("--require-hashes" in line for line in image.splitlines() if "pip install" in line)


def test_database_of_the_containers_belongs_to_a_user_who_is_no_superuser() -> None:
    assert "POSTGRES_USER" not in SERVICES["postgres"]["environment"]
    script = (_COMPOSE_FOLDER / "create-database.sh").read_text()
    assert "CREATE ROLE portal LOGIN PASSWORD" in script
    assert "SUPERUSER" not in script


def test_mounted_files_exist() -> None:
    volumes: list[Any] = [volume for service in SERVICES.values() for volume in service["volumes"]]
    mounted = [volume.split(":")[0] for volume in volumes if volume.startswith("./")]
    assert len(mounted) == 2
    assert all((_COMPOSE_FOLDER / name).is_file() for name in mounted)
    assert all(volume.endswith(":ro") for volume in volumes if volume.startswith("./"))
