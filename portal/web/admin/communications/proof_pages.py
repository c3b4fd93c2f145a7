"""Administration → proof of notice: a page to print and a signed file, for one communication or a whole send."""

from flask import Blueprint, Response, abort, flash, redirect, render_template, request, stream_with_context, url_for
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.core.clock import now_ms
from portal.core.context import settings
from portal.core.rules.delivery_status import group_labels
from portal.core.rules.time_format import format_utc
from portal.core.translation import gettext as _
from portal.gateways import queue
from portal.gateways.job_reports import find_jobs
from portal.messages.timeline import mask_destination
from portal.records import proof_of_notice
from portal.records.proof_records import ledger_head, proof_records
from portal.records.rules.proof_file import fingerprint
from portal.records.tables.proofs import Proof, ProofState, communications_after, complete_communication, latest_proof
from portal.sends.progress import send_report
from portal.settings.signing import signing_key
from portal.web.access import allow
from portal.web.admin.sends.send_actions import send_or_404
from portal.web.delivery_labels import CHANNEL_LABELS, channel_statuses
from portal.web.error_pages import flash_outcome
from portal.web.organisation_files import page_organisation
from portal.web.polling import poll_interval_seconds
from portal.web.request_input import is_htmx_request

pages = Blueprint("admin_proofs", __name__, url_prefix="/Admin")
_MIMETYPE = "application/jsonl"
_LISTED = 500
"""The page of a larger send has no list of its recipients: the file has."""


@pages.get("/Communications/<id:communication_id>/Proof")
@allow("admin")
def of_communication(communication_id: int) -> str:
    """To be printed."""
    key_print = _fingerprint()
    communication = complete_communication(communication_id) or abort(404)
    (record,) = proof_records([communication])
    return render_template("admin/communications/proof/communication.html", record=record, **_common(key_print))


@pages.get("/Communications/<id:communication_id>/Proof/file")
@allow("admin")
def communication_file(communication_id: int) -> Response:
    """HEAD hands nothing out, so the audit log has no entry of it."""
    if request.method == "HEAD":
        return Response(mimetype=_MIMETYPE)
    author = f"{current_user.name}, {current_user.external_id}"
    content = proof_of_notice.communication_proof(communication_id, current_user.id, author, now_ms()) or abort(404)
    return Response(content, mimetype=_MIMETYPE, headers=_attachment(f"communication-{communication_id}"))


@pages.get("/Sends/<id:send_id>/Proof")
@allow("admin")
def of_send(send_id: int) -> ResponseReturnValue:
    """Ask for the file and follow how far it is; for htmx, only that."""
    send, proof = send_or_404(send_id), latest_proof(send_id)
    is_pending = proof is not None and proof.state == ProofState.PENDING
    job_ids = [queue.job_id(proof_of_notice.JOB, proof.id)] if proof and is_pending else []
    page = render_template(
        f"admin/communications/proof/{'_file' if is_htmx_request() else 'send'}.html",
        send=send,
        proof=proof,
        jobs=find_jobs(settings().redis_url, *job_ids),
        retry_url=lambda _job_id: url_for(".retry", send_id=send_id),
        poll_seconds=poll_interval_seconds(now_ms() - proof.created_at_ms) if proof and is_pending else None,
        fingerprint="" if is_htmx_request() else _fingerprint(),
    )
    return page, {"Vary": "HX-Request"}


@pages.get("/Sends/<id:send_id>/Proof/print")
@allow("admin")
def print_send(send_id: int) -> str:
    """To be printed; of a send of up to 500 people, with a list of them whose addresses are masked."""
    key_print, send = _fingerprint(), send_or_404(send_id)
    listed = communications_after(send_id, 0, _LISTED) if send.recipients <= _LISTED else []
    return render_template(
        "admin/communications/proof/print_send.html",
        send=send,
        counts=send_report(send_id, now_ms()).groups,
        group_labels=group_labels,
        channels=CHANNEL_LABELS,
        rows=[(item, channel_statuses(item, also_texts=True)) for item in listed],
        mask_destination=mask_destination,
        **_common(key_print),
    )


@pages.post("/Sends/<id:send_id>/Proof")
@allow("admin")
def create(send_id: int) -> ResponseReturnValue:
    send_or_404(send_id)
    author = f"{current_user.name}, {current_user.external_id}"
    with flash_outcome():
        proof_of_notice.create_proof(send_id, current_user.id, author, now_ms())
    return redirect(url_for(".of_send", send_id=send_id, _anchor="file"), 303)


@pages.post("/Sends/<id:send_id>/Proof/retry")
@allow("admin")
def retry(send_id: int) -> ResponseReturnValue:
    proof = _proof(send_id)
    with flash_outcome():
        proof_of_notice.retry_proof(proof.id, current_user.id, now_ms())
    return redirect(url_for(".of_send", send_id=send_id, _anchor="file"), 303)


@pages.get("/Sends/<id:send_id>/Proof/file")
@allow("admin")
def send_file(send_id: int) -> ResponseReturnValue:
    proof = _proof(send_id)
    if proof.state != ProofState.DONE:
        flash(_("There is no file at the moment. Write it again."), "error")
        return redirect(url_for(".of_send", send_id=send_id, _anchor="file"), 303)
    if request.method == "HEAD":
        return Response(mimetype=_MIMETYPE)
    pieces = stream_with_context(proof_of_notice.download(proof, current_user.id, now_ms()))
    return Response(pieces, mimetype=_MIMETYPE, headers=_attachment(f"send-{send_id}"))


def _proof(send_id: int) -> Proof:
    return latest_proof(send_id) or abort(404)


def _fingerprint() -> str:
    return fingerprint(signing_key(now_ms()).public_bytes)


def _common(key_print: str) -> dict[str, object]:
    return {
        "ledger": ledger_head(),
        "fingerprint": key_print,
        "format_utc": format_utc,
        "written_at_ms": now_ms(),
        "organisation": page_organisation().name,
    }


def _attachment(name: str) -> dict[str, str]:
    return {"Content-Disposition": f"attachment; filename=proof-of-notice-{name}.jsonl"}
