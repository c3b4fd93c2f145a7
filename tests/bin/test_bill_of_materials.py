"""The bill of materials names what is locked, and the audit asks about all of it."""

import json
import os
import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKED = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.txt").read_text(), re.MULTILINE)
VENDORED = tomllib.loads((ROOT / "portal/static/vendor/vendor.lock").read_text())["package"]


def run_tool(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, str(ROOT / "bin" / name), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def bill() -> dict[str, Any]:
    content: dict[str, Any] = json.loads(run_tool("sbom.py").stdout)
    return content


def test_components_are_the_locked_packages_and_the_vendored_files(bill: dict[str, Any]) -> None:
    listed = {(part["name"], part["version"]): part["hashes"] for part in bill["components"]}
    assert set(listed) == {*LOCKED, *((package["name"], package["version"]) for package in VENDORED)}
    assert len(listed) == len(bill["components"]) > 60
    assert all(listed.values()), "a component without a hash"


def test_what_the_product_needs_itself_is_told_from_what_comes_with_it(bill: dict[str, Any]) -> None:
    needed = {entry["ref"].partition("@")[0]: entry["dependsOn"] for entry in bill["dependencies"]}
    direct = {purl.partition("@")[0].rpartition("/")[2] for purl in needed["pkg:generic/notification-portal"]}
    wanted = {line.partition("[")[0] for line in (ROOT / "requirements.in").read_text().split()}
    assert direct == wanted | {package["name"] for package in VENDORED}
    assert any(purl.startswith("pkg:pypi/werkzeug@") for purl in needed["pkg:pypi/flask"])


def test_the_same_lock_files_give_the_same_bytes(tmp_path: Path) -> None:
    for run in ("1", "2"):
        command = [sys.executable, str(ROOT / "bin/sbom.py"), str(tmp_path / run)]
        subprocess.run(command, env={**os.environ, "PYTHONHASHSEED": run}, check=True)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


class VulnerabilityDatabase(HTTPServer):
    asked: tuple[str, ...] = ()
    advisories: dict[str, str]


class _Answer(BaseHTTPRequestHandler):
    server: VulnerabilityDatabase

    def do_POST(self) -> None:
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self.server.asked = tuple(query["package"]["purl"] for query in queries)
        found = [self.server.advisories.get(purl.partition("@")[0]) for purl in self.server.asked]
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"results": [{"vulns": [{"id": id}]} if id else {} for id in found]}).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def database() -> Iterator[VulnerabilityDatabase]:
    server = VulnerabilityDatabase(("127.0.0.1", 0), _Answer)
    server.advisories = {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def audit(database: VulnerabilityDatabase) -> "subprocess.CompletedProcess[str]":
    return run_tool("audit_dependencies.py", f"http://127.0.0.1:{database.server_port}/")


def test_audit_asks_about_every_component(database: VulnerabilityDatabase, bill: dict[str, Any]) -> None:
    run = audit(database)
    assert run.returncode == 0
    assert run.stdout == f"None of the {len(bill['components'])} components has a published vulnerability.\n"
    assert set(database.asked) == {component["purl"] for component in bill["components"]}


def test_audit_fails_for_a_vulnerable_component(database: VulnerabilityDatabase) -> None:
    database.advisories = {"pkg:pypi/flask": "GHSA-test"}
    run = audit(database)
    assert run.returncode == 1
    assert re.fullmatch(r"pkg:pypi/flask@\S+: \S+/GHSA-test\n", run.stderr)


def test_audit_without_an_answer_is_not_a_clean_one() -> None:
    run = run_tool("audit_dependencies.py", "http://127.0.0.1:1/")
    assert run.returncode == 2
    assert run.stderr.startswith("Nothing was audited: http://127.0.0.1:1/ gave no answer")
    assert run.stderr.endswith("Run it where the internet is.\n")
