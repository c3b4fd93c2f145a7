"""A running portal writes its secrets nowhere but encrypted, and phone numbers neither into logs nor into Redis."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from tests.support import servers
from tests.support.canaries.canary_search import CanarySearch, redis_values
from tests.support.commands.command_runner import CommandRunner

NUMBER = "+12025550177"
SECRETS = {
    "auth token": servers.LIVE_CREDENTIALS["AuthToken"],
    "wrong token": "canary1-wrong-token-5b7d",
    "webhook secret": "canary2-webhook-secret-5b7d",
    "mail password": "canary3-mail-password-5b7d",
    "password": "canary4-horse-battery-5b7d",
    "PORTAL_SECRET_KEY": "canary5-secret-key-5b7d-0123456789abcdef",
    "PORTAL_ENCRYPTION_KEY": "Y2FuYXJ5Ni1lbmNyeXB0aW9uLWtleS01YjdkLTAxMjM=",
    "PORTAL_METRICS_TOKEN": "canary7-metrics-token-5b7d-0123456789abcdef",
    "PORTAL_OIDC_CLIENT_SECRET": "canary8-client-secret-5b7d",
}
ACCOUNTS = f"""external_id,name,email,account_type,role,phone,sms_opted_in_at,sms_consent_source
P-1,Jordan,jordan@example.org,Practitioner,user,{NUMBER},2026-01-02,form
"""
_SIMULATED_ACCOUNT = servers.LIVE_CREDENTIALS["AccountSid"]
"""The line that says how to sign in to the simulator."""
COMMANDS = ("doctor", "keys status", "config show", "config history", "setup status", "sends list", "doctor --json")


@dataclass(frozen=True)
class CanaryPortal:
    instance: Path
    port: int
    log: Path
    run: Callable[..., str]


@contextmanager
def running_canary_portal(instance: Path, commands: CommandRunner) -> Iterator[CanaryPortal]:
    port, log = servers.consecutive_free_ports(3), instance.parent / "log"
    variables = {
        "PORTAL_INSTANCE": str(instance),
        "PORTAL_MAINTENANCE_INTERVAL": "1",
        "PORTAL_LOG_FORMAT": "json",
        "PORTAL_SMTP_URL": f"smtp://portal:{SECRETS['mail password']}@127.0.0.1:{port + 2}",
        "PORTAL_OIDC_ISSUER": "http://127.0.0.1:9",
        "PORTAL_OIDC_CLIENT_ID": "portal",
        **{name: secret for name, secret in SECRETS.items() if name.startswith("PORTAL_")},
        "PORTAL_TWILIO_API_URL": f"http://127.0.0.1:{port + 1}",
        "PORTAL_LOCAL_URL": f"http://127.0.0.1:{port}",
    }

    def run(*arguments: str, stdin_text: str = "") -> str:
        done = commands.run(arguments, {**os.environ, **variables}, stdin_text)
        return done.stdout + done.stderr

    command = servers.portal_command("up", "--simulator", "--port", str(port))
    with log.open("w") as output, servers.running_process(command, variables, stdout=output, stderr=output):
        servers.wait_for(lambda: servers.responds_ok(f"http://127.0.0.1:{port}/healthz"), "the portal", 100)
        yield CanaryPortal(instance, port, log, run)


def test_running_portal_writes_no_secret(tmp_path: Path, command_runner: CommandRunner) -> None:
    search = CanarySearch(SECRETS, [NUMBER])
    with running_canary_portal(tmp_path / "instance", command_runner) as portal:
        _send_with_the_right_and_the_wrong_token(portal, tmp_path)
        for command in COMMANDS:
            search.search_for_everything(command, portal.run(*command.split()))
        for path in ("/metrics", "/healthz", "/nowhere", "/SignIn", "/SignIn/SingleSignOn"):
            search.search_for_everything(path, _fetch(f"http://127.0.0.1:{portal.port}{path}"))
    lines = portal.log.read_text().splitlines()
    assert any("worker sms" in line or '"level"' in line for line in lines)
    search.search_for_everything("log", "\n".join(line for line in lines if _SIMULATED_ACCOUNT not in line))
    for file in filter(Path.is_file, portal.instance.rglob("*")):
        if not file.name.startswith("simulator"):
            search.search_for_secrets(file.name, file.read_bytes())
    for file in filter(Path.is_file, (portal.instance / "valkey").rglob("*")):
        search.search_for_everything(file.name, file.read_bytes())
    with servers.opened_valkey(portal.instance) as connection:
        for key, value in redis_values(connection):
            search.search_for_everything(f"Redis {key}", value)
    assert search.found == []


def _send_with_the_right_and_the_wrong_token(portal: CanaryPortal, folder: Path) -> None:
    (folder / "people.csv").write_text(ACCOUNTS)
    (folder / "body.md").write_text("Dear {{ name }}.")
    webhook = {"Url": "http://127.0.0.1:9/alerts", "Secret": SECRETS["webhook secret"]}
    _set(portal, SmsGatewaySettings={"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": 25}, AlertWebhook=webhook)
    _set(portal, SmsGatewayAuthentication=servers.LIVE_CREDENTIALS)
    portal.run("config", "set", "SmsGatewayType", "Twilio")
    portal.run("config", "set", "EnableSmsNotifications", "true")
    portal.run("config", "set", "SendUndoSeconds", "0")
    portal.run("accounts", "import", str(folder / "people.csv"))
    portal.run(
        *("accounts", "create", "--email", "sys@example.org", "--role", "sysadmin"), "--password", SECRETS["password"]
    )
    body = str(folder / "body.md")
    portal.run("templates", "create", "due", "--name", "Due", "--subject", "Due", "--body-file", body, "--sms")
    portal.run("sends", "create", "due", "--account-type", "Practitioner")
    sent = f"http://127.0.0.1:{portal.port + 1}/simulator/messages"
    servers.wait_for(lambda: NUMBER in json.dumps(servers.get_json(sent)), "a text to arrive", 60)
    _set(portal, SmsGatewayAuthentication={**servers.LIVE_CREDENTIALS, "AuthToken": SECRETS["wrong token"]})
    portal.run("sends", "create", "due", "--account-type", "Practitioner")
    servers.wait_for(lambda: "20003" in portal.run("doctor"), "the wrong token to be refused", 60)


def _set(portal: CanaryPortal, **settings: object) -> None:
    for name, value in settings.items():
        portal.run("config", "set", name, json.dumps(value))


def _fetch(url: str) -> str:
    try:
        with urlopen(url, timeout=20) as response:
            return str(response.read(), "utf-8")
    except OSError as error:
        return str(error)
