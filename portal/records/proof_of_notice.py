"""Proof of notice: for one communication at once, for a send by a worker (ADR 44).

A part of the file and how far it has come are one transaction, which belongs to one run. So a worker that dies leaves
whole parts, the next run continues behind them, and a worker that comes second stops the first one.
"""

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from portal.core import audit_log
from portal.core.context import settings
from portal.core.coordination import RunTakenOver, begin_run, update_run
from portal.core.database_retry import giving_up_on_full_disk
from portal.core.errors import ActionRefused
from portal.core.extensions import db
from portal.core.organisation import current_organisation
from portal.core.rules.time_format import format_utc
from portal.core.transaction import transaction
from portal.core.translation import N_
from portal.core.translation import gettext as _
from portal.gateways import job_reports, queue
from portal.records.proof_records import ledger_head, proof_records
from portal.records.rules import proof_file
from portal.records.rules.proof_file import Chain
from portal.records.tables import proofs
from portal.records.tables.proofs import Proof, ProofPart, ProofState
from portal.sends.tables.sends import FANNING_OUT_STATES, Send
from portal.settings.signing import SigningKey, signing_key, signing_key_of

JOB = "write_proof"
KEPT_MS = 86_400_000
_BATCH_SIZE = 500
_PARTS_DELETED_AT_ONCE = 20
_GAVE_UP = N_("The proof was tried five times and never finished.")
_DISK_FULL = N_("The disk of the database is full. Make room, then try again.")


@dataclass
class _ProofRun:
    """The next part has the communications of accounts after `after_account_id`."""

    proof_id: int
    send_id: int
    number: int
    about: dict[str, Any]
    after_account_id: int
    part_count: int
    byte_count: int
    chain: Chain


def communication_proof(communication_id: int, author_id: int, author: str, now_ms: int) -> bytes | None:
    """The file about one communication; None if there is no such. The audit log has an entry."""
    key, about = signing_key(now_ms), _about("communication", communication_id, author, now_ms)
    item = proofs.complete_communication(communication_id)
    if item is None:
        return None
    header, chain = proof_file.write_header(about, key.public_bytes)
    (record,) = proof_records([item])
    line, chain = proof_file.write_line(chain, record)
    end = proof_file.write_end(chain, {"ledger": ledger_head()}, key.private)
    with transaction():
        subject = f"communication {communication_id}"
        audit_log.record_audit_entry("communication_proof_downloaded", subject, author_id, now_ms)
    return header + line + end


def create_proof(send_id: int, author_id: int, author: str, now_ms: int) -> int:
    """A proof that is being written is not begun twice. Raises `ActionRefused` before all messages exist."""
    about = _about("send", send_id, author, now_ms)
    with transaction() as session:
        send = session.get_one(Send, send_id, with_for_update=True)
        if not send.recipients or send.state in FANNING_OUT_STATES:
            raise ActionRefused(_("The messages of this send are not all there yet. Try again later."))
        latest = proofs.latest_proof(send_id)
        if latest is not None and latest.state == ProofState.PENDING:
            return latest.id
        proof = Proof(send_id=send_id, about=about, created_at_ms=now_ms, created_by_id=author_id)
        session.add(proof)
        session.flush()
        proof_id = proof.id
        audit_log.record_audit_entry("proof_requested", f"send {send_id}", author_id, now_ms)
    delete_old_proofs(now_ms)
    queue.enqueue(settings().redis_url, JOB, proof_id)
    return proof_id


def write_proof(
    proof_id: int, clock: Callable[[], int], should_stop: Callable[[], bool] = lambda: False, seconds: float = 20.0
) -> None:
    """Write for about `seconds`, so that other work in the queue does not wait longer; the next job continues."""
    ends_ms, run = clock() + round(seconds * 1000), _begin_run(proof_id, clock())
    if run is None:
        return
    total = _recipients(run.send_id)
    with suppress(RunTakenOver), giving_up_on_full_disk(lambda: _fail(run, clock())):
        while _write_part(run, clock()):
            job_reports.report_progress(settings().redis_url, max(run.chain.number - 1, 0), total, "recipients")
            if should_stop() or clock() >= ends_ms:
                return


def _fail(run: _ProofRun, now_ms: int) -> None:
    """What is written stays, and a new try continues behind it."""
    with transaction():
        failed = {"state": ProofState.FAILED, "problem": _DISK_FULL, "finished_at_ms": now_ms}
        update_run(Proof, run.proof_id, run.number, **failed)


def retry_proof(proof_id: int, actor_id: int, now_ms: int) -> None:
    """Continue a proof that was given up. Raises `ActionRefused` if it is over."""
    with transaction() as session:
        proof = session.get(Proof, proof_id, with_for_update=True)
        if proof is None or proof.state not in (ProofState.PENDING, ProofState.FAILED):
            raise ActionRefused(_("This proof is already written."))
        proof.state, proof.problem, proof.attempts = ProofState.PENDING, "", 0
        audit_log.record_audit_entry("job_retried", f"send {proof.send_id}", actor_id, now_ms)
    queue.enqueue(settings().redis_url, JOB, proof_id)


def download(proof: Proof, actor_id: int, now_ms: int) -> Iterator[bytes]:
    """The file, piece by piece. The audit log has an entry of each download."""
    subject, stored = f"send {proof.send_id}", proofs.parts(proof.id, proof.part_count)
    with transaction():
        audit_log.record_audit_entry("proof_downloaded", subject, actor_id, now_ms)
    return map(zlib.decompress, stored)


def delete_old_proofs(now_ms: int) -> None:
    """In small transactions."""
    for proof_id in proofs.expired_proof_ids(now_ms - KEPT_MS):
        with transaction() as session:
            session.get_one(Proof, proof_id).state = ProofState.REMOVED
        deleted = _PARTS_DELETED_AT_ONCE
        while deleted == _PARTS_DELETED_AT_ONCE:
            with transaction():
                deleted = proofs.delete_parts(proof_id, _PARTS_DELETED_AT_ONCE)


def _about(kind: str, subject_id: int, author: str, now_ms: int) -> dict[str, Any]:
    return {
        kind: subject_id,
        "organization": current_organisation().name,
        "portal": settings().public_url,
        "written_at": format_utc(now_ms),
        "written_for": author,
    }


def _begin_run(proof_id: int, now_ms: int) -> _ProofRun | None:
    with transaction():
        proof = begin_run(Proof, proof_id, now_ms, _GAVE_UP)
        if proof is None:
            return None
        chain = Chain(proof.line_count, proof.last_digest) if proof.line_count else Chain()
        position = proof.after_account_id, proof.part_count, proof.byte_count
        return _ProofRun(proof_id, proof.send_id, proof.run_number, proof.about, *position, chain)


def _recipients(send_id: int) -> int:
    recipients = db.session.get_one(Send, send_id).recipients
    db.session.rollback()
    return recipients


def _write_part(run: _ProofRun, now_ms: int) -> bool:
    """Write the next lines; after the last communication, the end. Returns whether there is more."""
    key = _key_of(run, now_ms)
    lines, chain = _first_line(run, key)
    batch = proofs.communications_after(run.send_id, run.after_account_id, _BATCH_SIZE)
    for record in proof_records(batch):
        line, chain = proof_file.write_line(chain, record)
        lines.append(line)
    is_last, last_account_id = len(batch) < _BATCH_SIZE, batch[-1].account_id if batch else run.after_account_id
    db.session.rollback()
    end: dict[str, Any] = {}
    if is_last:
        lines.append(proof_file.write_end(chain, {"ledger": _ledger_head()}, key.private))
        end = {"state": ProofState.DONE, "finished_at_ms": now_ms}
    _store(run, b"".join(lines), chain, last_account_id, end)
    return not is_last


def _key_of(run: _ProofRun, now_ms: int) -> SigningKey:
    """That of the header, even if the signing key was replaced since."""
    if not run.part_count:
        return signing_key(now_ms)
    header = zlib.decompress(next(proofs.parts(run.proof_id, 1)))
    db.session.rollback()
    return signing_key_of(proof_file.public_key_in(header))


def _first_line(run: _ProofRun, key: SigningKey) -> tuple[list[bytes], Chain]:
    if run.chain.number:
        return [], run.chain
    header, chain = proof_file.write_header(run.about, key.public_bytes)
    return [header], chain


def _ledger_head() -> dict[str, Any]:
    head = ledger_head()
    db.session.rollback()
    return head


def _store(run: _ProofRun, content: bytes, chain: Chain, last_account_id: int, end: dict[str, Any]) -> None:
    run.part_count, run.byte_count = run.part_count + 1, run.byte_count + len(content)
    run.chain, run.after_account_id = chain, last_account_id
    progress = {"line_count": chain.number, "last_digest": chain.digest, "after_account_id": last_account_id}
    counts = {"part_count": run.part_count, "byte_count": run.byte_count, "attempts": 0}
    part = ProofPart(proof_id=run.proof_id, number=run.part_count, content=zlib.compress(content))
    with transaction() as session:
        update_run(Proof, run.proof_id, run.number, **progress, **counts, **end)
        session.add(part)
