import shutil
from pathlib import Path

import pytest

from tests.support.commands.command_runner import CommandRunner
from tests.support.portal_shell import PortalShell


@pytest.fixture(scope="session")
def dedicated_redis_url(redis_url: str) -> str:
    """A Redis database used by these tests only, so that their queue wakes nobody else."""
    return f"{redis_url}?db=11"


@pytest.fixture(scope="session")
def migrated_instance(
    command_runner: CommandRunner, dedicated_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An instance folder after `portal db upgrade`, with its keys, to be copied for each test."""
    folder = tmp_path_factory.mktemp("commands")
    PortalShell(command_runner, folder, PORTAL_REDIS_URL=dedicated_redis_url).output_of("db", "upgrade")
    return folder


@pytest.fixture
def shell(
    command_runner: CommandRunner, migrated_instance: Path, dedicated_redis_url: str, tmp_path: Path
) -> PortalShell:
    """A shell on an empty portal."""
    folder = tmp_path / "instance"
    shutil.copytree(migrated_instance, folder)
    return PortalShell(command_runner, folder, PORTAL_REDIS_URL=dedicated_redis_url)


@pytest.fixture(scope="module")
def seeded_shell(
    command_runner: CommandRunner,
    migrated_instance: Path,
    dedicated_redis_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> PortalShell:
    """A shell on a portal with three accounts and a template with merge fields; for commands that fail."""
    folder = tmp_path_factory.mktemp("seeded_shell") / "instance"
    shutil.copytree(migrated_instance, folder)
    shell = PortalShell(command_runner, folder, PORTAL_REDIS_URL=dedicated_redis_url)
    shell.import_accounts("P-1", "P-2", "P-3")
    shell.add_template("fee", "Dear {{ name }}, pay {{ data.fee }} before {{ data.due_date }}.")
    return shell
