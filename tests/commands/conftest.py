import shutil
from pathlib import Path

import pytest
from commanded import Commands
from shell import Shell


@pytest.fixture(scope="session")
def own_redis_url(redis_url: str) -> str:
    """A database of the server for ourselves: what rings here rings for nobody else."""
    return f"{redis_url}?db=11"


@pytest.fixture(scope="session")
def migrated_folder(commands: Commands, own_redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance folder after `portal db upgrade`, with its keys, to copy from."""
    folder = tmp_path_factory.mktemp("commands")
    Shell(commands, folder, PORTAL_REDIS_URL=own_redis_url).says("db", "upgrade")
    return folder


@pytest.fixture
def shell(commands: Commands, migrated_folder: Path, own_redis_url: str, tmp_path: Path) -> Shell:
    """A shell on a portal with nothing in it."""
    folder = tmp_path / "instance"
    shutil.copytree(migrated_folder, folder)
    return Shell(commands, folder, PORTAL_REDIS_URL=own_redis_url)


@pytest.fixture(scope="module")
def board(
    commands: Commands, migrated_folder: Path, own_redis_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Shell:
    """A shell on a portal with three people and a template that asks for a fee; for commands that are refused."""
    folder = tmp_path_factory.mktemp("board") / "instance"
    shutil.copytree(migrated_folder, folder)
    shell = Shell(commands, folder, PORTAL_REDIS_URL=own_redis_url)
    shell.people("P-1", "P-2", "P-3")
    shell.template("fee", "Dear {{ name }}, pay {{ data.fee }} before {{ data.due_date }}.")
    return shell
