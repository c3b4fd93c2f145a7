"""Proof of notice: what the file says, and that a worker which dies costs no line."""

import errno
import io
import json
import zlib
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, select

from portal.core.coordination import pending_work_ids
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.gateways import queue
from portal.messages.tables.communications import Communication
from portal.records import proof_of_notice
from portal.records.proof_records import ledger_head
from portal.records.record_maintenance import enqueue_unfinished
from portal.records.rules import proof_file
from portal.records.rules.proof_file import fingerprint
from portal.records.tables.proofs import Proof, ProofPart, ProofState
from portal.settings.key_rotation import rotate_keys
from portal.settings.signing import renew_signing_key, signing_key
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture
def send_id(monkeypatch: pytest.MonkeyPatch) -> int:
    """To three people, two of whom can be texted."""
    scenario.configure_gateway()
    scenario.create_accounts(3, with_sms=2)
    scenario.add_template()
    monkeypatch.setattr(proof_of_notice, "_BATCH_SIZE", 2)
    return scenario.create_expanded_send()


def content_of(proof_id: int) -> bytes:
    return b"".join(proof_of_notice.download(db.session.get_one(Proof, proof_id), 1, scenario.now_ms()))


def parts_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line)["parts"] for line in content.splitlines()]


def test_file_of_a_send_is_valid_and_has_everybody(send_id: int) -> None:
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms)
    own = fingerprint(signing_key(scenario.now_ms()).public_bytes)
    content = content_of(proof_id)
    verdict = proof_file.verify(io.BytesIO(content), own)
    assert (verdict.problem, verdict.records) == ("", 3)
    header, *records, end = parts_of(content)
    assert (header["about"]["send"], header["about"]["written_for"]) == (send_id, "Robin")
    assert end["end"] == {"ledger": ledger_head(), "records": 3}
    assert [record["deliveries"][0]["channel"] for record in records] == ["email"] * 3


def test_worker_that_dies_costs_no_line(send_id: int) -> None:
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms, should_stop=lambda: True)
    assert pending_work_ids(Proof) == [proof_id]
    proof_of_notice.write_proof(proof_id, scenario.now_ms)
    assert pending_work_ids(Proof) == []
    assert proof_file.verify(io.BytesIO(content_of(proof_id))).records == 3


def test_proof_that_was_begun_before_a_new_signing_key_is_signed_with_its_own(send_id: int) -> None:
    first = signing_key(scenario.now_ms())
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms, should_stop=lambda: True)
    renew_signing_key(scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms)
    verdict = proof_file.verify(io.BytesIO(content_of(proof_id)), fingerprint(first.public_bytes))
    assert (verdict.problem, verdict.records) == ("", 3)


def test_scheduler_finds_a_proof_that_is_not_finished(send_id: int, redis_url: str) -> None:
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())
    servers.flush_valkey(redis_url)
    with Redis.from_url(redis_url) as connection:
        enqueue_unfinished(scenario.now_ms())
        assert queue.job_id(proof_of_notice.JOB, proof_id) in queue.open_queue("work", connection).job_ids


def test_worker_that_comes_second_stops_the_first(send_id: int) -> None:
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())

    def start_another() -> bool:
        proof_of_notice.write_proof(proof_id, scenario.now_ms)
        return False

    proof_of_notice.write_proof(proof_id, scenario.now_ms, should_stop=start_another)
    assert proof_file.verify(io.BytesIO(content_of(proof_id))).problem == ""


def test_proof_that_kills_its_worker_is_given_up(send_id: int) -> None:
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())
    for _try in range(6):
        proof_of_notice._begin_run(proof_id, scenario.now_ms())
    assert db.session.get_one(Proof, proof_id).state == ProofState.FAILED
    proof_of_notice.retry_proof(proof_id, 1, scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms)
    assert db.session.get_one(Proof, proof_id).state == ProofState.DONE
    with pytest.raises(ActionRefused, match="already written"):
        proof_of_notice.retry_proof(proof_id, 1, scenario.now_ms())


def test_full_disk_ends_the_proof_until_somebody_tries_again(send_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms, should_stop=lambda: True)
    with monkeypatch.context() as patch:
        patch.setattr(zlib, "compress", raise_disk_full)
        proof_of_notice.write_proof(proof_id, scenario.now_ms)
    proof = db.session.get_one(Proof, proof_id)
    assert (proof.state, proof.problem[:33]) == (ProofState.FAILED, "The disk of the database is full.")
    proof_of_notice.retry_proof(proof_id, 1, scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms)
    assert proof_file.verify(io.BytesIO(content_of(proof_id))).records == 3


def raise_disk_full(_content: bytes) -> bytes:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_file_is_deleted_after_a_day(send_id: int) -> None:
    proof_id = proof_of_notice.create_proof(send_id, 1, "Robin", scenario.now_ms())
    proof_of_notice.write_proof(proof_id, scenario.now_ms)
    proof_of_notice.delete_old_proofs(scenario.now_ms() + proof_of_notice.KEPT_MS - 60_000)
    assert db.session.scalar(select(func.count()).select_from(ProofPart)) == 2
    proof_of_notice.delete_old_proofs(scenario.now_ms() + proof_of_notice.KEPT_MS + 60_000)
    assert db.session.scalar(select(func.count()).select_from(ProofPart)) == 0
    assert db.session.get_one(Proof, proof_id).state == ProofState.REMOVED


def test_text_names_the_event_that_it_relied_on(send_id: int) -> None:
    """The first event of the ledger enabled this phone; a text that never left relied on none."""
    first = db.session.scalars(select(Communication).order_by(Communication.account_id)).first()
    assert first is not None
    communication_id = first.id
    before = proof_of_notice.communication_proof(communication_id, 1, "Robin", scenario.now_ms())
    assert before is not None
    assert parts_of(before)[1]["consent"] is None
    scenario.run_sms_worker(until=scenario.attempts_recorded(2))
    after = proof_of_notice.communication_proof(communication_id, 1, "Robin", scenario.now_ms())
    assert after is not None
    assert proof_file.verify(io.BytesIO(after)).problem == ""
    record = parts_of(after)[1]
    assert record["consent"]["number"] == scenario.phone_number(0)
    assert record["consent"]["kind"] in ("opt_in", "start")
    assert [(item["channel"], item["mode"]) for item in record["attempts"]][:1] == [("sms", "live")]


def test_unknown_communication_has_no_proof() -> None:
    assert proof_of_notice.communication_proof(99, 1, "Robin", scenario.now_ms()) is None


def test_signing_key_stays_the_same_and_is_counted_by_key_rotation() -> None:
    first = signing_key(1)
    assert signing_key(2).public_bytes == first.public_bytes
    assert rotate_keys(3) == (0, 1)
