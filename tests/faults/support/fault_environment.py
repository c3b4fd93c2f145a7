"""The whole product on a stage of its own: every process real, every one of them replaceable, and short waits.

`Stage` is one portal on one database engine with its own Valkey and its own outside world. What a scenario does and
sees goes through the `portal` command, HTTP, signals, and queries from outside.
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
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from tests.faults.support.external_services import LogCollector, RestartableSimulator, ValkeyServer
from tests.faults.support.fault_databases import FaultDatabase, PostgresFaultDatabase, SqliteFaultDatabase
from tests.faults.support.supervised_processes import ForkServerClient, RestartingSupervisor, SupervisedProcess
from tests.support import servers

LONG_RUN = os.environ.get("FAULTS") == "long"
TIMEOUT_SECONDS, LEASE_SECONDS, SETTLE_SECONDS, SWEEP_SECONDS = (
    (1.0, 3.0, 4.0, 0.5) if LONG_RUN else (0.7, 1.6, 2.0, 0.5)
)
RATE = 40.0
DEFAULT_PROCESS_COUNTS = {"web": 1, "sms": 2, "email": 1, "work": 1, "scheduler": 1}
"""How many of each process run unless a scenario says otherwise."""

FAR_FUTURE_MS = 4_000_000_000_000
_OPEN_STATES = ("ready", "paused", "sending", "unknown")
_STATES_OF_SEND_QUERY = """SELECT DISTINCT channel, state FROM delivery WHERE send_id = :send
              UNION SELECT 'send', state FROM send WHERE id = :send"""
_ACCOUNT_CSV_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"
_FIRST_NUMBER = 2_000_000
_IMPORT_BATCH = 3_000 if LONG_RUN else 400
_TIMEOUT_FACTOR = 6
"""How many times longer than on a quiet machine anything may take before it counts as not happening at all."""

_CALLBACK_SECONDS = 0.7
_KEY = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="


class MissedTiming(Exception):
    """The moment that a test waited for has passed before it could act: this try means nothing."""


def require_timing(holds: bool) -> None:
    """Raises `Missed`."""
    if not holds:
        raise MissedTiming


@dataclass(frozen=True)
class Audience:
    indexes: list[int]

    @property
    def phone_numbers(self) -> list[str]:
        return [phone_number_for(place) for place in self.indexes]


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
        self.env_vars = self._environment()
        self.run_portal_command("db", "upgrade")
        self.database.install_state_journal()
        self.add_template("notice", "Due for {{ name }}", "Dear {{ name }}, your renewal is due.")
        self.configure()
        self._initial_settings = dict(self._current_settings)
        self.database.execute("CREATE TABLE faults_settings AS SELECT * FROM app_setting")
        self.scale_processes()
        servers.wait_for(self.is_ready, "the portal to be ready", 60)

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        return kept | {
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
            "PORTAL_MAINTENANCE_INTERVAL": str(SWEEP_SECONDS),
            "TZ": "America/New_York",
        }

    def close(self) -> None:
        self._cleanup.close()

    def restore_initial_state(self) -> None:
        """As it was at first: nothing goes wrong any more, nothing waits, the outside world remembers nothing."""
        waiting = ", ".join(f"'{state}'" for state in _OPEN_STATES)
        self.supervisor.resume_all()
        self.database.execute(
            f"UPDATE delivery SET state = 'canceled' WHERE state IN ({waiting})",
            "UPDATE sending_number SET next_free_at_us = 0, failures = 0, rests_until_us = 0",
            "UPDATE sending_number SET paused_reason = '', paused_at_ms = NULL",
            "UPDATE lane SET paused_at_ms = NULL",
            "UPDATE lease SET until_ms = 0",
            "DELETE FROM faults_journal",
            # past the command, which takes a third of a second for each
            "DELETE FROM app_setting",
            "INSERT INTO app_setting SELECT * FROM faults_settings",
        )
        self._current_settings, self.rate = dict(self._initial_settings), RATE
        self.scale_processes()
        self.simulator.reset()
        self.wait(self.is_ready, "the portal to be ready again", 60, interval=0.1)

    def log_output(self) -> str:
        """By all processes of the product so far."""
        return self._log.file.read_text(errors="replace")

    def is_ready(self) -> bool:
        return servers.responds_ok(f"{self.url}/readyz")

    # The gateway and what is sent by it

    def configure(self, rate: float = RATE, **more: Any) -> None:
        """The gateway as most scenarios want it; `more` are settings by their names."""
        wanted = {
            "SmsGatewayAuthentication": servers.LIVE_CREDENTIALS,
            "SmsGatewaySettings": {"FromNumber": servers.FROM_NUMBER, "SegmentsPerSecond": rate},
            "TestSmsGatewayAuthentication": servers.TEST_CREDENTIALS,
            "TestSmsGatewaySettings": {"FromNumber": "+15005550006", "SegmentsPerSecond": RATE},
            "EnableSmsNotifications": True,
            "EnableSmsTestMode": False,
            "EnableSmsOverrideNumber": False,
            **more,
        }
        self.rate = rate
        for name, value in wanted.items():
            self.change_setting(name, value)

    def change_setting(self, name: str, value: Any, force: bool = False) -> None:
        """One setting, unless it is so already: a command takes a third of a second."""
        text = json.dumps(value)
        if force or self._current_settings.get(name) != text:
            self._current_settings[name] = text
            self.run_portal_command("config", "set", name, text if isinstance(value, dict) else str(value).lower())

    def add_template(self, key: str, subject: str, body: str) -> None:
        written = self._file(f"{key}.md", body)
        words = ("--name", key, "--subject", subject, "--body-file", written, "--sms")
        self.run_portal_command("templates", "create", key, *words)

    def _file(self, name: str, content: str) -> str:
        path = self.folder / name
        path.write_text(content)
        return str(path)

    # Commands and processes

    def run_portal_command(self, *words: str, **environment: str) -> str:
        """What a command prints; fails with what it complains of."""
        output = self.folder / f"command-{next(self._sequence)}.out"
        pid = self._forker.start(list(words), self.env_vars | environment, output)
        found = servers.wait_for(lambda: self._ended(pid), f"portal {' '.join(words)} to end", 300)
        said = output.read_text().strip()
        assert found == [0], f"portal {' '.join(words)} ended with {found}: {said}"
        return said

    def _ended(self, pid: int) -> list[int]:
        self._forker.poll()
        code = self._forker.exit_code(pid)
        return [] if code is None else [code]

    def scale_processes(self, **counts: int) -> None:
        """So many processes of each name; surplus ones are stopped as a supervisor stops them."""
        for name, count in {**DEFAULT_PROCESS_COUNTS, **counts}.items():
            running = self.supervisor.with_name(name)
            self.supervisor.stop_for_good(*running[count:])
            for _ in range(count - len(running)):
                self._on_process_replaced(self.start_process(name))

    def stop_all_processes(self) -> None:
        """Of ours; what surrounds the product stays."""
        self.supervisor.stop_for_good(*self.supervisor.all_running())

    def lease_holder_pid(self) -> int:
        """The process id of the scheduler that holds the lease; 0 while nobody does."""
        query = "SELECT max(holder) FROM lease WHERE name = 'scheduler' AND until_ms > :now"
        return int((self.database.value(query, now=now_ms()) or ":0").rpartition(":")[2])

    def active_scheduler(self) -> SupervisedProcess:
        """The scheduler that sweeps."""

        def found() -> list[SupervisedProcess]:
            return [each for each in self.supervisor.with_name("scheduler") if each.pid == self.lease_holder_pid()]

        return self.wait(found, "a scheduler to hold the lease", 90)[0]

    def wait_until_idle(self, name: str = "sms") -> None:
        """Wait until every worker of a queue has nothing to do."""
        self.wait(
            lambda: self._workers(name) <= {"idle"} and not self.valkey.queue_length(name), f"idle workers for {name}"
        )

    def wait_until_busy(self, name: str = "sms") -> None:
        self.wait(lambda: "busy" in self._workers(name), f"a worker for {name} to begin")

    def _workers(self, name: str) -> set[str]:
        return {self.valkey.worker_state(name, worker.pid) for worker in self.supervisor.with_name(name)}

    def start_process(self, name: str, **environment: str) -> SupervisedProcess:
        words = {"web": ["web", "--port", str(self.port), "--processes", "1"], "scheduler": ["scheduler"]}
        command = words.get(name) or ["worker", name]
        return self.supervisor.start(name, command, self.env_vars | environment, self._log.pipe)

    # People and sends

    def ensure_admin(self, password: str) -> str:
        """The name of the administrator, made when first asked for."""
        if not self._admin:
            self._admin = "admin@example.org"
            words = ("--email", self._admin, "--role", "sysadmin", "--password", password)
            self.run_portal_command("accounts", "create", *words)
        return self._admin

    def create_recipients(self, count: int) -> "Audience":
        """So many accounts that nobody has written to yet, each with a number that may be texted."""
        while len(self._unused_recipients) < count:
            self._unused_recipients += self._import(max(count, _IMPORT_BATCH))
        taken, self._unused_recipients = self._unused_recipients[:count], self._unused_recipients[count:]
        return Audience(taken)

    def _import(self, count: int) -> list[int]:
        """Their places, from which account number, address and phone number follow."""
        places = [next(self._sequence) for _ in range(count)]
        rows = [
            f"{place},Person {place},{place}@example.org,Practitioner,user,UTC,{phone_number_for(place)},2026-01-02,form"
            for place in places
        ]
        self.run_portal_command("accounts", "import", self._file("people.csv", "\n".join([_ACCOUNT_CSV_HEADER, *rows])))
        return places

    def create_send(self, audience: "Audience", template: str = "notice") -> int:
        """Its id."""
        listed = self._file(f"audience-{audience.indexes[0]}.txt", "\n".join(map(str, audience.indexes)))
        return int(self.run_portal_command("sends", "create", template, "--external-ids", listed).splitlines()[-1])

    def prepare_send(self, count: int) -> tuple[int, "Audience"]:
        """A send whose texts are ready, but wait until `release` lets them go; nobody works in the lane yet."""
        self.scale_processes(sms=0)
        audience = self.create_recipients(count)
        send = self.create_send(audience)
        self.wait(lambda: self.count_states(send).get("ready") == count, "the send to be expanded")
        self.database.execute(
            "UPDATE delivery SET next_at_ms = :far WHERE send_id = :send AND channel = 'sms'",
            far=FAR_FUTURE_MS,
            send=send,
        )
        return send, audience

    def make_due(self, number: str, wake: bool = True) -> None:
        """Its turn has come."""
        turn = "UPDATE delivery SET next_at_ms = :now WHERE address = :number AND state = 'ready'"
        self.database.execute(turn, now=now_ms(), number=number)
        if wake:
            self.enqueue_drain_jobs()

    def enqueue_drain_jobs(self, times: int = 1) -> None:
        """The doorbell of the SMS lane, so often at once."""
        import rq
        from rq.serializers import JSONSerializer

        connection = self.valkey.client()
        bell = rq.Queue("sms", connection=connection, serializer=JSONSerializer)
        for _ in range(times):
            bell.enqueue("jobs.tasks.drain_sms", result_ttl=0, failure_ttl=1)
        connection.close()

    # What became of it

    def count_states(self, send: int, channel: str = "sms") -> dict[str, int]:
        query = "SELECT state, count(*) FROM delivery WHERE channel = :channel AND send_id = :send GROUP BY state"
        return {state: number for state, number in self.database.rows(query, channel=channel, send=send)}

    def state_of_text(self, number: str) -> str:
        """Of the newest text to this number."""
        query = "SELECT state FROM delivery WHERE channel = 'sms' AND address = :number ORDER BY id DESC LIMIT 1"
        return str(self.database.value(query, number=number))

    def wait_until_settled(self, *sends: int, seconds: float = 90) -> None:
        """Wait until each is expanded and nothing of it waits or is in doubt, and every text has been heard of."""
        for send in sends:
            self.wait(lambda send=send: self._nothing_open(send), f"send {send} to settle", seconds, send, 0.15)
        for send in sends:
            self._wait_for_receipts(send)

    def wait_until_texts_settled(self, send: int, seconds: float = 90) -> None:
        """As `settled`, of texts only."""
        waiting = set(_OPEN_STATES)
        self.wait(lambda: not waiting & set(self.count_states(send)), f"the texts of send {send}", seconds, send, 0.15)
        self._wait_for_receipts(send)

    def wait_until_emails_handed_off(self, *sends: int, seconds: float = 90) -> None:
        """Wait until every mail of these sends is handed over."""

        def mailed() -> bool:
            self._make_emails_due()
            return all(set(self.count_states(send, "email")) == {"handed_off"} for send in sends)

        self.wait(mailed, f"the mails of sends {sends}", seconds, sends[0], 0.15)

    def _nothing_open(self, send: int) -> bool:
        self._make_emails_due()
        if not LONG_RUN:
            self.database.execute("UPDATE sending_number SET rests_until_us = 0 WHERE rests_until_us > 0")
        left = {state for _, state in self.database.rows(_STATES_OF_SEND_QUERY, send=send)}
        return not left & {"queued", "fanning_out", *_OPEN_STATES}

    def _wait_for_receipts(self, send: int) -> None:
        """Receipts get lost, with the web process or on purpose: then the moment to ask Twilio is brought nearer."""
        ends = time.monotonic() + _CALLBACK_SECONDS
        while time.monotonic() < ends:
            if self._is_final(send):
                return
            time.sleep(0.15)
        self.age_attempts(send)
        self.wait(lambda: self._poll_and_check_final(send), f"every text of send {send} to be heard of", 30, send, 0.5)

    def _poll_and_check_final(self, send: int) -> bool:
        """Twilio may have answered that a text is still on its way: then it is asked again, and that is near too."""
        self._make_polls_due(send)
        return self._is_final(send)

    def _is_final(self, send: int) -> bool:
        return not {"accepted", "sent"} & set(self.count_states(send))

    def wait(
        self,
        condition: Callable[[], Any],
        what: str,
        seconds: float = 60,
        send: int | None = None,
        interval: float = 0.05,
    ) -> Any:
        """The first true value; what fails says on which engine, with which seed, and how far it was."""
        ends = time.monotonic() + seconds * _TIMEOUT_FACTOR
        while time.monotonic() < ends:
            if found := condition():
                return found
            time.sleep(interval)
        far = f": texts {self.count_states(send)}, mails {self.count_states(send, 'email')}" if send is not None else ""
        raise AssertionError(f"waited {seconds:g} s in vain for {what} on {self.engine} (seed {self.seed}){far}")

    def wait_for_texts(self, count: int, what: str, seconds: float = 60, send: int | None = None) -> None:
        """Wait until Twilio has accepted so many."""
        self.wait(lambda: self.simulator.count_texts() >= count, what, seconds, send)

    def age_attempts(self, send: int) -> None:
        """For texts that nobody has heard of: the moment to ask Twilio has come."""
        its = "delivery_id IN (SELECT id FROM delivery WHERE send_id = :send)"
        self.database.execute(f"UPDATE attempt SET slot_at_ms = slot_at_ms - 600000 WHERE {its}", send=send)
        self._make_polls_due(send)

    def _make_polls_due(self, send: int) -> None:
        its = f"send_id = {send} AND state IN ('accepted', 'sent') AND next_at_ms > {now_ms()}"
        self.database.update_unlocked(f"next_at_ms = {now_ms()}", its)

    def _make_emails_due(self) -> None:
        """The five minutes of a dead worker's lease and the waits between two tries of a mail, in no time.

        A batch takes less than a second, so what was begun three seconds ago has nobody left.
        """
        begun = f"attempt_id IN (SELECT id FROM attempt WHERE started_at_ms < {now_ms() - 3000})"
        self.database.update_unlocked("lease_until_ms = 0", f"channel = 'email' AND state = 'sending' AND {begun}")
        waits = f"channel = 'email' AND state IN ('ready', 'unknown') AND next_at_ms > {now_ms()}"
        self.database.update_unlocked(f"next_at_ms = {now_ms()}", waits)
        self.database.execute("UPDATE mail_server SET rests_until_ms = 0 WHERE rests_until_ms > 0")

    def is_sms_paused(self) -> bool:
        return bool(self.database.rows("SELECT 1 FROM sending_number WHERE paused_reason <> ''"))

    def wait_for_scheduler_runs(self, times: int = 2) -> None:
        """Wait until the scheduler has been round so often again."""
        (scheduler,) = self.supervisor.with_name("scheduler")
        query = "SELECT max(at_ms) FROM heartbeat WHERE name LIKE :its"

        def beat() -> int:
            return self.database.value(query, its=f"%:{scheduler.pid}") or 0

        for _ in range(times):
            before = self.wait(beat, "the scheduler's first turn")
            self.wait(lambda before=before: beat() > before, "the scheduler's next turn")

    def _on_process_replaced(self, process: SupervisedProcess) -> None:
        """A scheduler waits a minute for the lease of one that was killed; in the short form not so long."""
        if process.name == "scheduler":
            with contextlib.suppress(SQLAlchemyError):
                self.expire_scheduler_lease()

    def expire_scheduler_lease(self) -> None:
        """In the long form it is waited for."""
        if not LONG_RUN:
            self.database.execute("UPDATE lease SET until_ms = 0 WHERE name = 'scheduler'")

    def seeded_random(self, name: str) -> random.Random:
        return random.Random(f"{self.seed} {self.engine} {name}")


def phone_number_for(place: int) -> str:
    return f"+1415{_FIRST_NUMBER + place}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000
