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
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy.exc import SQLAlchemyError

from tests.faults.support.external_services import LogCollector, RestartableSimulator, ValkeyServer
from tests.faults.support.fault_databases import FaultDatabase, PostgresFaultDatabase, SqliteFaultDatabase
from tests.faults.support.supervised_processes import ForkServerClient, RestartingSupervisor, SupervisedProcess
from tests.support import servers

T = TypeVar("T")
LONG_RUN = os.environ.get("FAULTS") == "long"
TIMEOUT_SECONDS, LEASE_SECONDS, SETTLE_SECONDS, MAINTENANCE_SECONDS = (
    (1.0, 3.0, 4.0, 0.5) if LONG_RUN else (0.7, 1.6, 2.0, 0.5)
)
RATE = 40.0
DEFAULT_PROCESS_COUNTS = {"web": 1, "sms": 2, "email": 1, "work": 1, "scheduler": 1}
"""How many of each process run unless a scenario changes it."""

FAR_FUTURE_MS = 4_000_000_000_000
_OPEN_STATES = ("ready", "paused", "sending", "unknown")
_STATES_OF_SEND_QUERY = """SELECT DISTINCT channel, state FROM delivery WHERE send_id = :send
              UNION SELECT 'send', state FROM send WHERE id = :send"""
_ACCOUNT_CSV_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"
_FIRST_NUMBER = 2_000_000
_IMPORT_BATCH_SIZE = 3_000 if LONG_RUN else 400
_TIMEOUT_FACTOR = 6
"""Multiplies every timeout, because a busy machine is several times slower than an idle one."""

_RECEIPT_GRACE_SECONDS = 0.7
_KEY = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="


class MissedTiming(Exception):
    """The test acted too late, so this attempt proves nothing."""


def require_timing(holds: bool) -> None:
    """Raises `MissedTiming` unless `holds`."""
    if not holds:
        raise MissedTiming


@dataclass(frozen=True)
class Audience:
    indexes: list[int]

    @property
    def phone_numbers(self) -> list[str]:
        return [phone_number_for(index) for index in self.indexes]


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
        self._unused_recipients: list[int] = []
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
            "TZ": "America/New_York",
        }

    def close(self) -> None:
        self._cleanup.close()

    def restore_initial_state(self) -> None:
        """Remove all faults, cancel unfinished deliveries, reset the simulator and the settings."""
        unfinished = ", ".join(f"'{state}'" for state in _OPEN_STATES)
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

    def add_template(self, key: str, subject: str, body: str) -> None:
        body_file = self._write_file(f"{key}.md", body)
        options = ("--name", key, "--subject", subject, "--body-file", body_file, "--sms")
        self.run_portal_command("templates", "create", key, *options)

    def _write_file(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content)
        return str(path)

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

    # Recipients and sends

    def ensure_admin(self, password: str) -> str:
        """The sign-in name of the administrator, created on the first call."""
        if not self._admin:
            self._admin = "admin@example.org"
            options = ("--email", self._admin, "--role", "sysadmin", "--password", password)
            self.run_portal_command("accounts", "create", *options)
        return self._admin

    def create_recipients(self, count: int) -> "Audience":
        """`count` accounts that have not been sent anything, each with a phone number that may be texted."""
        while len(self._unused_recipients) < count:
            self._unused_recipients += self._import_accounts(max(count, _IMPORT_BATCH_SIZE))
        indexes, self._unused_recipients = self._unused_recipients[:count], self._unused_recipients[count:]
        return Audience(indexes)

    def _import_accounts(self, count: int) -> list[int]:
        """The new accounts' indexes, which determine account number, email address and phone number."""
        indexes = [next(self._sequence) for _ in range(count)]
        rows = [
            f"{index},Person {index},{index}@example.org,Practitioner,user,UTC,"
            f"{phone_number_for(index)},2026-01-02,form"
            for index in indexes
        ]
        self.run_portal_command(
            "accounts", "import", self._write_file("people.csv", "\n".join([_ACCOUNT_CSV_HEADER, *rows]))
        )
        return indexes

    def create_send(self, audience: "Audience", template: str = "notice") -> int:
        """Create a send and return its id."""
        ids_file = self._write_file(f"audience-{audience.indexes[0]}.txt", "\n".join(map(str, audience.indexes)))
        return int(self.run_portal_command("sends", "create", template, "--external-ids", ids_file).splitlines()[-1])

    def prepare_send(self, count: int) -> tuple[int, "Audience"]:
        """A send with all texts ready but not due until `make_due`; no SMS worker runs."""
        self.scale_processes(sms=0)
        audience = self.create_recipients(count)
        send = self.create_send(audience)
        self.wait(lambda: self.count_states(send).get("ready") == count, "the fan-out")
        self.database.execute(
            "UPDATE delivery SET due_at_ms = :far WHERE send_id = :send AND channel = 'sms'",
            far=FAR_FUTURE_MS,
            send=send,
        )
        return send, audience

    def make_due(self, phone_number: str, wake: bool = True) -> None:
        """Make the ready text to a phone number due; if `wake`, also wake up a worker."""
        make_due = "UPDATE delivery SET due_at_ms = :now WHERE address = :phone_number AND state = 'ready'"
        self.database.execute(make_due, now=now_ms(), phone_number=phone_number)
        if wake:
            self.enqueue_drain_jobs()

    def enqueue_drain_jobs(self, times: int = 1) -> None:
        """Enqueue `times` wake-ups of the SMS queue at once."""
        import rq
        from rq.serializers import JSONSerializer

        connection = self.valkey.client()
        queue = rq.Queue("sms", connection=connection, serializer=JSONSerializer)
        for _ in range(times):
            queue.enqueue("jobs.tasks.drain_sms", result_ttl=0, failure_ttl=1)
        connection.close()

    # Results

    def count_states(self, send: int, channel: str = "sms") -> dict[str, int]:
        query = "SELECT state, count(*) FROM delivery WHERE channel = :channel AND send_id = :send GROUP BY state"
        return {state: count for state, count in self.database.rows(query, channel=channel, send=send)}

    def state_of_text(self, phone_number: str) -> str:
        """The state of the newest text to a phone number."""
        query = "SELECT state FROM delivery WHERE channel = 'sms' AND address = :phone_number ORDER BY id DESC LIMIT 1"
        return str(self.database.value(query, phone_number=phone_number))

    def wait_until_settled(self, *sends: int, seconds: float = 90) -> None:
        """Wait until each send is fanned out, has no unfinished delivery, and every text has its final receipt."""
        for send in sends:
            self.wait(partial(self._is_settled, send), f"send {send} to settle", seconds, send, 0.15)
        for send in sends:
            self._wait_for_receipts(send)

    def wait_until_texts_settled(self, send: int, seconds: float = 90) -> None:
        """Like `wait_until_settled`, for texts only."""
        unfinished = set(_OPEN_STATES)
        self.wait(
            lambda: not unfinished & set(self.count_states(send)), f"the texts of send {send}", seconds, send, 0.15
        )
        self._wait_for_receipts(send)

    def wait_until_emails_handed_off(self, *sends: int, seconds: float = 90) -> None:
        """Wait until the mail server has accepted every email of these sends."""

        def handed_off() -> bool:
            self._make_emails_due()
            return all(set(self.count_states(send, "email")) == {"handed_off"} for send in sends)

        self.wait(handed_off, f"the emails of sends {sends}", seconds, sends[0], 0.15)

    def _is_settled(self, send: int) -> bool:
        self._make_emails_due()
        if not LONG_RUN:
            self.database.execute("UPDATE sending_number SET retry_at_us = 0 WHERE retry_at_us > 0")
        states = {state for _, state in self.database.rows(_STATES_OF_SEND_QUERY, send=send)}
        return not states & {"queued", "fanning_out", *_OPEN_STATES}

    def _wait_for_receipts(self, send: int) -> None:
        """Wait a moment for receipts; then, because some may be lost, make the polls of Twilio due."""
        deadline = time.monotonic() + _RECEIPT_GRACE_SECONDS
        while time.monotonic() < deadline:
            if self._is_final(send):
                return
            time.sleep(0.15)
        self.age_attempts(send)
        self.wait(lambda: self._poll_and_check_final(send), f"the receipts of send {send}", 30, send, 0.5)

    def _poll_and_check_final(self, send: int) -> bool:
        """Make polls due each time: Twilio may have answered that a text is still on its way."""
        self._make_polls_due(send)
        return self._is_final(send)

    def _is_final(self, send: int) -> bool:
        return not {"accepted", "sent"} & set(self.count_states(send))

    def wait(
        self,
        condition: Callable[[], T],
        description: str,
        seconds: float = 60,
        send: int | None = None,
        interval: float = 0.05,
    ) -> T:
        """Wait for a true value and return it; a failure names the engine, the seed and the state of `send`."""
        deadline = time.monotonic() + seconds * _TIMEOUT_FACTOR
        while time.monotonic() < deadline:
            if value := condition():
                return value
            time.sleep(interval)
        progress = (
            f": texts {self.count_states(send)}, emails {self.count_states(send, 'email')}" if send is not None else ""
        )
        raise AssertionError(f"timed out waiting for {description} on {self.engine} (seed {self.seed}){progress}")

    def wait_for_texts(self, count: int, description: str, seconds: float = 60, send: int | None = None) -> None:
        """Wait until Twilio has accepted `count` texts."""
        self.wait(lambda: self.simulator.count_texts() >= count, description, seconds, send)

    def age_attempts(self, send: int) -> None:
        """Move attempts ten minutes into the past and make the polls of their texts due."""
        of_send = "delivery_id IN (SELECT id FROM delivery WHERE send_id = :send)"
        self.database.execute(f"UPDATE attempt SET slot_at_ms = slot_at_ms - 600000 WHERE {of_send}", send=send)
        self._make_polls_due(send)

    def _make_polls_due(self, send: int) -> None:
        waiting = f"send_id = {send} AND state IN ('accepted', 'sent') AND due_at_ms > {now_ms()}"
        self.database.update_unlocked(f"due_at_ms = {now_ms()}", waiting)

    def _make_emails_due(self) -> None:
        """End the leases of killed email workers and the waits between two attempts.

        A batch takes less than a second, so an attempt from three seconds ago has no worker any more.
        """
        stale = f"attempt_id IN (SELECT id FROM attempt WHERE started_at_ms < {now_ms() - 3000})"
        self.database.update_unlocked("lease_until_ms = 0", f"channel = 'email' AND state = 'sending' AND {stale}")
        waiting = f"channel = 'email' AND state IN ('ready', 'unknown') AND due_at_ms > {now_ms()}"
        self.database.update_unlocked(f"due_at_ms = {now_ms()}", waiting)
        self.database.execute("UPDATE mail_server SET retry_at_ms = 0 WHERE retry_at_ms > 0")

    def is_sms_paused(self) -> bool:
        return bool(self.database.rows("SELECT 1 FROM sending_number WHERE paused_reason <> ''"))

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


def phone_number_for(index: int) -> str:
    return f"+1415{_FIRST_NUMBER + index}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000
