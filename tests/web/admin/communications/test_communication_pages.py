"""One communication: what was sent, what it relied on, each attempt, and what came back."""

import pytest
from flask import Flask
from sqlalchemy import update

from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.core.rules.phone import mask_phone
from portal.delivery.receipts import record_receipt
from portal.messages.tables import attempts
from portal.messages.tables.attempts import Charge
from portal.messages.tables.communications import Attempt, Delivery
from portal.records import proof_of_notice
from portal.records.rules import proof_file
from portal.records.rules.proof_file import fingerprint
from portal.settings.signing import renew_signing_key, signing_key
from tests.support.html_checks import find_page_problems
from tests.support.page_queries import app_transaction, visible_text
from tests.support.web_client import NOW_MS, WebClient

SID = "SM" + "1" * 32
OWNERS = "+12025550101"


@pytest.fixture
def refused_text(web_app: Flask, unknown_text_id: int) -> str:
    """The address of a communication whose text was accepted by Twilio, and refused by the carrier."""
    with app_transaction(web_app):
        db.session.execute(update(Attempt).values(started_at_ms=now_ms()))
    with web_app.app_context():
        form = {"MessageSid": SID, "MessageStatus": "undelivered", "ErrorCode": "30003"}
        record_receipt(form, "attempt-1", now_ms())
        return f"/Admin/Communications/{db.session.get_one(Delivery, unknown_text_id).communication_id}"


def test_page_tells_who_reported_what_with_code_and_remedy(admin: WebClient, refused_text: str) -> None:
    page = admin.get(refused_text).text
    assert find_page_problems(page) == []
    words = visible_text(page)
    assert f"Status callback from Twilio · {SID} · 30003" in words
    assert "If it is important, send it again once after a few hours." in words
    assert "Not reported yet" in words, "Twilio has not said what it costs"


def test_page_shows_the_settings_of_the_attempt_and_its_mode(admin: WebClient, refused_text: str) -> None:
    words = visible_text(admin.get(refused_text).text)
    assert "EnableSmsNotifications true" in words
    assert f"Live {mask_phone(OWNERS)}" in words
    assert OWNERS not in words


def test_page_links_to_the_wording_and_to_the_consent_event(admin: WebClient, refused_text: str) -> None:
    page = admin.get(refused_text).text
    assert 'href="/Admin/Automations/Templates/1/versions/1"' in page
    assert "#event-1" in page
    assert "Event 1 of the ledger" in visible_text(page)
    assert 'id="event-1"' in admin.get("/Admin/Consent/Numbers/+12025550101").text


def test_page_shows_what_twilio_charges_once_it_is_known(web_app: Flask, admin: WebClient, refused_text: str) -> None:
    with app_transaction(web_app):
        attempts.record_charges([Charge(SID, 2, "-0.01580", "USD")])
    words = visible_text(admin.get(refused_text).text)
    assert "$0.0158" in words
    assert "Not reported yet" not in words


def test_email_is_shown_as_text_without_the_recipients_link(admin: WebClient, refused_text: str) -> None:
    words = visible_text(admin.get(refused_text).text)
    assert "View it in the portal: https://portal.example.org/c/…" in words


def test_sending_again_is_checked_first_and_happens_once(web_app: Flask, admin: WebClient, refused_text: str) -> None:
    communication_id = refused_text.rpartition("/")[2]
    check = admin.post("/Admin/Communications/Again", communication=communication_id).location
    page = admin.get(check).text
    assert find_page_problems(page) == []
    assert "1 message, with the same template version and values as before." in visible_text(page)
    sends = {admin.post(check).location for _click in range(2)}
    assert len(sends) == 1
    assert "Sent again" in visible_text(admin.get(refused_text).text)
    assert "It is sent again with send 2." in visible_text(admin.get(check).text)


def test_filtered_list_is_sent_again_together(admin: WebClient, refused_text: str) -> None:
    listing = admin.get("/Admin/Communications?q=olive").text
    assert 'name="q" value="olive"' in listing
    check = admin.post("/Admin/Communications/Again", q="olive", group="", channel="", send="x").location
    assert "1 message, with" in visible_text(admin.get(check).text)
    nobody = admin.post("/Admin/Communications/Again", q="nobody at all")
    assert nobody.location == "/Admin/Communications?q=nobody+at+all"


def test_proof_of_one_communication_is_a_page_and_a_signed_file(admin: WebClient, refused_text: str) -> None:
    page = admin.get(f"{refused_text}/Proof").text
    assert find_page_problems(page) == []
    words = visible_text(page)
    assert "paper form" in words, "the evidence of the opt-in"
    assert SID in words
    response = admin.get(f"{refused_text}/Proof/file")
    verdict = proof_file.verify(response.data.splitlines(keepends=True))
    assert (verdict.problem, verdict.records) == ("", 1)
    assert verdict.fingerprint in words


def test_proof_of_a_send_is_written_by_a_worker(web_app: Flask, admin: WebClient, refused_text: str) -> None:
    assert "Write the file" in visible_text(admin.get("/Admin/Sends/1/Proof").text)
    assert admin.get("/Admin/Sends/1/Proof/file").status_code == 404
    admin.post("/Admin/Sends/1/Proof")
    page = admin.get("/Admin/Sends/1/Proof").text
    assert find_page_problems(page) == []
    assert "0 of 6 people are written." in visible_text(page)
    assert admin.get("/Admin/Sends/1/Proof/file").status_code == 303
    with web_app.app_context():
        proof_of_notice.write_proof(1, now_ms)
    assert "6 people, as of" in visible_text(admin.get("/Admin/Sends/1/Proof").text)
    response = admin.get("/Admin/Sends/1/Proof/file")
    assert proof_file.verify(response.data.splitlines(keepends=True)).records == 6


def test_printed_proof_of_a_send_masks_addresses(admin: WebClient, refused_text: str) -> None:
    page = admin.get("/Admin/Sends/1/Proof/print").text
    assert find_page_problems(page) == []
    assert mask_phone(OWNERS) in page
    assert OWNERS not in page
    assert "owner@example.org" not in page


def test_proofs_are_for_administrators_and_the_key_for_system_administrators(
    number_owner: WebClient, admin: WebClient, sysadmin: WebClient, refused_text: str
) -> None:
    for path in (f"{refused_text}/Proof", f"{refused_text}/Proof/file", "/Admin/Sends/1/Proof"):
        assert number_owner.get(path).status_code == 404
    assert admin.get("/SysAdmin/SigningKey").status_code == 404
    assert "Ed25519" in sysadmin.get("/SysAdmin/SigningKey").text


def test_fingerprints_of_replaced_signing_keys_stay_on_the_page(web_app: Flask, sysadmin: WebClient) -> None:
    with web_app.app_context():
        earlier, current = signing_key(NOW_MS), renew_signing_key(NOW_MS + 1)
    page = sysadmin.get("/SysAdmin/SigningKey").text
    assert find_page_problems(page) == []
    present, _heading, before = page.partition("Earlier keys")
    assert fingerprint(current.public_bytes) in present
    assert fingerprint(earlier.public_bytes) in before
