"""Recipients and sends of the fault tests, made with the `portal` command."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import rq
from rq.serializers import JSONSerializer

from tests.faults.support.delivery_progress import DeliveryProgress
from tests.faults.support.external_services import ValkeyServer
from tests.faults.support.fault_databases import FaultDatabase
from tests.faults.support.timing import LONG_RUN, now_ms

_FAR_FUTURE_MS = 4_000_000_000_000
_ACCOUNT_CSV_HEADER = "external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"
_FIRST_NUMBER = 2_000_000
_IMPORT_BATCH_SIZE = 3_000 if LONG_RUN else 400


@dataclass(frozen=True)
class Audience:
    indexes: list[int]

    @property
    def phone_numbers(self) -> list[str]:
        return [phone_number_for(index) for index in self.indexes]


class SendDriver:
    def __init__(
        self,
        folder: Path,
        database: FaultDatabase,
        valkey: ValkeyServer,
        progress: DeliveryProgress,
        run_portal_command: Callable[..., str],
        scale_processes: Callable[..., None],
    ) -> None:
        self._folder, self._database, self._valkey, self._progress = folder, database, valkey, progress
        self._run_portal_command, self._scale_processes = run_portal_command, scale_processes
        self._indexes = itertools.count(1)
        self._unused_recipients: list[int] = []

    def create_recipients(self, count: int) -> Audience:
        """`count` accounts that have not been sent anything, each with a phone number that may be texted."""
        while len(self._unused_recipients) < count:
            self._unused_recipients += self._import_accounts(max(count, _IMPORT_BATCH_SIZE))
        indexes, self._unused_recipients = self._unused_recipients[:count], self._unused_recipients[count:]
        return Audience(indexes)

    def _import_accounts(self, count: int) -> list[int]:
        """The new accounts' indexes, which determine account number, email address and phone number."""
        indexes = [next(self._indexes) for _ in range(count)]
        rows = [
            f"{index},Person {index},{index}@example.org,Practitioner,user,UTC,"
            f"{phone_number_for(index)},2026-01-02,form"
            for index in indexes
        ]
        self._run_portal_command(
            "accounts", "import", self._write_file("people.csv", "\n".join([_ACCOUNT_CSV_HEADER, *rows]))
        )
        return indexes

    def create(self, audience: Audience, template: str = "notice") -> int:
        """Create a send and return its id."""
        ids_file = self._write_file(f"audience-{audience.indexes[0]}.txt", "\n".join(map(str, audience.indexes)))
        return int(self._run_portal_command("sends", "create", template, "--external-ids", ids_file).splitlines()[-1])

    def prepare(self, count: int) -> tuple[int, Audience]:
        """A send with all texts ready but not due until `make_due`; no SMS worker runs."""
        self._scale_processes(sms=0)
        audience = self.create_recipients(count)
        send = self.create(audience)
        self._progress.wait(lambda: self._progress.count_states(send).get("ready") == count, "the fan-out")
        self._database.execute(
            "UPDATE delivery SET due_at_ms = :far WHERE send_id = :send AND channel = 'sms'",
            far=_FAR_FUTURE_MS,
            send=send,
        )
        return send, audience

    def make_due(self, phone_number: str, wake: bool = True) -> None:
        """Make the ready text to a phone number due; if `wake`, also wake up a worker."""
        make_due = "UPDATE delivery SET due_at_ms = :now WHERE address = :phone_number AND state = 'ready'"
        self._database.execute(make_due, now=now_ms(), phone_number=phone_number)
        if wake:
            self.enqueue_drain_jobs()

    def enqueue_drain_jobs(self, times: int = 1) -> None:
        """Enqueue `times` wake-ups of the SMS queue at once."""
        connection = self._valkey.client()
        queue = rq.Queue("sms", connection=connection, serializer=JSONSerializer)
        for _ in range(times):
            queue.enqueue("jobs.tasks.drain_sms", result_ttl=0, failure_ttl=1)
        connection.close()

    def _write_file(self, name: str, content: str) -> str:
        path = self._folder / name
        path.write_text(content)
        return str(path)


def phone_number_for(index: int) -> str:
    return f"+1415{_FIRST_NUMBER + index}"
