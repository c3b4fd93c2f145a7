"""A complete portal with real processes and short timeouts, for one database engine.

It has its own Valkey, simulator and log. Scenarios act and observe through the `portal` command, HTTP, signals and
queries from outside.
"""

import contextlib
import itertools
import json
import os
import random
import shutil
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from tests.faults.support.delivery_progress import OPEN_STATES, DeliveryProgress
from tests.faults.support.external_services import LogCollector, RestartableSimulator, ValkeyServer
from tests.faults.support.fault_databases import FaultDatabase, PostgresFaultDatabase, SqliteFaultDatabase
from tests.faults.support.send_driver import SendDriver
from tests.faults.support.supervised_processes import RestartingSupervisor, SupervisedProcess
from tests.faults.support.timing import (
    LEASE_SECONDS,
    LONG_RUN,
    MAINTENANCE_SECONDS,
    SETTLE_SECONDS,
    TIMEOUT_SECONDS,
    now_ms,
)
from tests.support import servers
from tests.support.commands.fork_server_client import ForkServerClient

RATE = 40.0
DEFAULT_PROCESS_COUNTS = {"web": 1, "sms": 2, "email": 1, "work": 1, "scheduler": 1}
"""How many of each process run unless a scenario changes it."""
_KEY = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="


class FaultEnvironment:
    def __init__(self, engine: str, forker: ForkServerClient, seed: str) -> None:
        self.engine = engine
        self.seed = seed
        self.folder = Path(tempfile.mkdtemp(prefix=f"faults-{engine[:2]}-"))
        self.port = servers.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._forker = forker
        self._sequence = itertools.count(1)
        self._current_settings = {"EnableSmsTestMode": "false", "EnableSmsOverrideNumber": "false"}
        self._admin = ""
        self.rate = RATE
        self._cleanup = contextlib.ExitStack()
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.database: FaultDatabase = (
            SqliteFaultDatabase(self.folder) if self.engine == "sqlite" else PostgresFaultDatabase()
        )
        self._cleanup.callback(self.database.close)
        self.valkey = ValkeyServer(self.folder)
        self._cleanup.callback(self.valkey.stop)
        self.simulator = RestartableSimulator(self.folder, f"{self.url}/webhooks/twilio/inbound")
        self._cleanup.callback(self.simulator.stop)
        self._log = LogCollector(self.folder)
        self._cleanup.callback(self._log.close)
        self.supervisor = RestartingSupervisor(self._forker, self._on_process_replaced)
        self._cleanup.callback(self.supervisor.close)
        self.progress = DeliveryProgress(self.engine, self.seed, self.database, self.simulator)
        self.wait = self.progress.wait
        self.sends = SendDriver(
            self.folder, self.database, self.valkey, self.progress, self.run_portal_command, self.scale_processes
        )
        self.env_vars = self._build_env_vars()
        self.run_portal_command("db", "upgrade")
        self.database.install_state_journal()
        self.add_template("notice", "Due for {{ name }}", "Dear {{ name }}, your renewal is due.")
        self.configure()
        self._initial_settings = dict(self._current_settings)
        self.database.execute("CREATE TABLE initial_settings AS SELECT * FROM app_setting")
        self.scale_processes()
        servers.wait_for(self.is_ready, "the portal to be ready", 60)

    def _build_env_vars(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        return inherited | {
            "PORTAL_INSTANCE": str(self.folder),
            "PORTAL_DATABASE_URL": self.database.url,
            "PORTAL_REDIS_URL": self.valkey.url,
            "PORTAL_SECRET_KEY": "secret for tests only",
            "PORTAL_ENCRYPTION_KEY": _KEY,
            "PORTAL_PUBLIC_URL": self.url,
            "PORTAL_TWILIO_API_URL": self.simulator.url,
            "PORTAL_SMTP_URL": self.simulator.smtp_url,
            "PORTAL_MAIL_FROM": "Board <board@example.org>",
            "PORTAL_SMS_TIMEOUT": str(TIMEOUT_SECONDS),
            "PORTAL_SMS_LEASE": str(LEASE_SECONDS),
            "PORTAL_SMS_SETTLE": str(SETTLE_SECONDS),
            "PORTAL_MAINTENANCE_INTERVAL": str(MAINTENANCE_SECONDS),
            "PORTAL_QUIET_HOURS": "off",
            "PORTAL_FREQUENCY_CAP": "off",
            "PORTAL_SECOND_FACTOR": "optional",
            "TZ": "America/New_York",
        }

    def close(self) -> None:
        self._cleanup.close()

    def restore_initial_state(self) -> None:
        """Remove all faults, cancel unfinished deliveries, reset the simulator and the settings."""
        unfinished = ", ".join(f"'{state}'" for state in OPEN_STATES)
        self.supervisor.resume_all()
        self.database.execute(
            f"UPDATE delivery SET state = 'canceled' WHERE state IN ({unfinished})",
            "UPDATE sending_number SET next_free_at_us = 0, consecutive_failures = 0, retry_at_us = 0",
            "UPDATE sending_number SET paused_reason = '', paused_at_ms = NULL",
            "UPDATE lane SET paused_at_ms = NULL",
            "UPDATE lease SET expires_at_ms = 0",
            "DELETE FROM faults_journal",
            # directly in the table: the command takes a third of a second per setting
            "DELETE FROM app_setting",
            "INSERT INTO app_setting SELECT * FROM initial_settings",
        )
        self._current_settings, self.rate = dict(self._initial_settings), RATE
        self.scale_processes()
        self.simulator.reset()
        self.wait(self.is_ready, "the portal to be ready again", 60, interval=0.1)

    def log_output(self) -> str:
        """Everything the portal's processes have logged so far."""
        return self._log.file.read_text(errors="replace")

    def is_ready(self) -> bool:
        return servers.responds_ok(f"{self.url}/readyz")

    # Settings and templates

    def configure(self, rate: float = RATE, **settings: Any) -> None:
        """Set up the gateway as most scenarios need it; `settings` are further AppConfig settings."""
        values = {
            "SmsGatewayAuthentication": servers.LIVE_CREDENTIALS,
            "SmsGatewaySettings": {"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": rate},
            "TestSmsGatewayAuthentication": servers.TEST_CREDENTIALS,
            "TestSmsGatewaySettings": {"FromNumber": "+15005550006", "SegmentsPerSecond": RATE},
            "EnableSmsNotifications": True,
            "EnableSmsTestMode": False,
            "EnableSmsOverrideNumber": False,
            "SendUndoSeconds": 0,
            **settings,
        }
        self.rate = rate
        for name, value in values.items():
            self.change_setting(name, value)

    def change_setting(self, name: str, value: Any, force: bool = False) -> None:
        """Change a setting unless it has the value already: a command takes a third of a second."""
        text = json.dumps(value)
        if force or self._current_settings.get(name) != text:
            self._current_settings[name] = text
            self.run_portal_command("config", "set", name, text if isinstance(value, dict) else str(value).lower())

    def add_template(self, key: str, subject: str, body: str, *flags: str) -> None:
        body_file = self.folder / f"{key}.md"
        body_file.write_text(body)
        options = ("--name", key, "--subject", subject, "--body-file", str(body_file), "--sms", *flags)
        self.run_portal_command("templates", "create", key, *options)

    # Commands and processes

    def run_portal_command(self, *arguments: str, **env_vars: str) -> str:
        """The output of `portal ARGUMENTS`; fails with the output if the exit code is not 0."""
        output = self.folder / f"command-{next(self._sequence)}.out"
        command = f"portal {' '.join(arguments)}"
        pid = self._forker.start(list(arguments), self.env_vars | env_vars, output)
        exit_codes = servers.wait_for(lambda: self._exit_codes(pid), f"{command} to end", 300)
        printed = output.read_text().strip()
        assert exit_codes == [0], f"{command} ended with {exit_codes}: {printed}"
        return printed

    def _exit_codes(self, pid: int) -> list[int]:
        self._forker.poll()
        code = self._forker.exit_code(pid)
        return [] if code is None else [code]

    def scale_processes(self, **counts: int) -> None:
        """Run `counts` of each process, the default count otherwise; stops surplus ones with SIGTERM."""
        for name, count in {**DEFAULT_PROCESS_COUNTS, **counts}.items():
            running = self.supervisor.with_name(name)
            self.supervisor.stop_for_good(*running[count:])
            for _ in range(count - len(running)):
                self._on_process_replaced(self.start_process(name))

    def stop_all_processes(self) -> None:
        """Stop the portal's processes; Valkey and the simulator keep running."""
        self.supervisor.stop_for_good(*self.supervisor.all_running())

    def lease_holder_pid(self) -> int:
        """The process id of the scheduler that holds the lease; 0 if none does."""
        query = "SELECT max(holder) FROM lease WHERE name = 'scheduler' AND expires_at_ms > :now"
        return int((self.database.value(query, now=now_ms()) or ":0").rpartition(":")[2])

    def active_scheduler(self) -> SupervisedProcess:
        """The scheduler that holds the lease and runs maintenance."""

        def leaders() -> list[SupervisedProcess]:
            holder = self.lease_holder_pid()
            return [scheduler for scheduler in self.supervisor.with_name("scheduler") if scheduler.pid == holder]

        return self.wait(leaders, "a scheduler to hold the lease", 90)[0]

    def wait_until_idle(self, name: str = "sms") -> None:
        """Wait until a queue is empty and its workers are idle."""

        def is_idle() -> bool:
            return self._worker_states(name) <= {"idle"} and not self.valkey.queue_length(name)

        self.wait(is_idle, f"idle workers for {name}")

    def wait_until_busy(self, name: str = "sms") -> None:
        self.wait(lambda: "busy" in self._worker_states(name), f"a worker for {name} to start work")

    def _worker_states(self, name: str) -> set[str]:
        return {self.valkey.worker_state(name, worker.pid) for worker in self.supervisor.with_name(name)}

    def start_process(self, name: str, **env_vars: str) -> SupervisedProcess:
        commands = {"web": ["web", "--port", str(self.port), "--processes", "1"], "scheduler": ["scheduler"]}
        command = commands.get(name) or ["worker", name]
        return self.supervisor.start(name, command, self.env_vars | env_vars, self._log.pipe)

    def ensure_admin(self, password: str) -> str:
        """The sign-in name of the administrator, created on the first call."""
        if not self._admin:
            self._admin = "admin@example.org"
            options = ("--email", self._admin, "--role", "sysadmin", "--password", password)
            self.run_portal_command("accounts", "create", *options)
        return self._admin

    def wait_for_scheduler_runs(self, times: int = 2) -> None:
        """Wait for `times` further runs of the scheduler."""
        (scheduler,) = self.supervisor.with_name("scheduler")
        query = "SELECT max(at_ms) FROM heartbeat WHERE name LIKE :pattern"

        def last_run_ms() -> int:
            return int(self.database.value(query, pattern=f"%:{scheduler.pid}") or 0)

        def has_run_after(previous_ms: int) -> bool:
            return last_run_ms() > previous_ms

        for _ in range(times):
            previous_ms = self.wait(last_run_ms, "the scheduler's heartbeat")
            self.wait(partial(has_run_after, previous_ms), "the scheduler's next run")

    def _on_process_replaced(self, process: SupervisedProcess) -> None:
        """In the short form, spare a new scheduler the minute until the killed one's lease expires."""
        if process.name == "scheduler":
            with contextlib.suppress(SQLAlchemyError):
                self.expire_scheduler_lease()

    def expire_scheduler_lease(self) -> None:
        """Does nothing in the long form, where the tests wait for the lease."""
        if not LONG_RUN:
            self.database.execute("UPDATE lease SET expires_at_ms = 0 WHERE name = 'scheduler'")

    def seeded_random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {self.engine} {name}")
