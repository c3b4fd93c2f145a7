"""Email is sent at least once, with the same Message-ID; a fault of one address never delays the others."""

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from portal.content.email_rendering import build_mail
from portal.core.context import settings
from portal.core.extensions import db
from portal.delivery import email_worker, mail_server_status, maintenance
from portal.delivery.email_claim import claim_emails
from portal.delivery.email_worker import MAX_EMAIL_ATTEMPTS
from portal.delivery.reconciliation import requeue_unknown_emails
from portal.delivery.tables.mail_server import MailServer
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.smtp import SmtpGateway
from portal.messages.tables.communications import Attempt, Delivery
from portal.messages.timeline import describe_state, timeline_entries
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")


@pytest.fixture(autouse=True)
def three_emails(app: object) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    scenario.create_expanded_send()


def make_everything_due() -> None:
    """End all waiting: due times of emails and the cooldown of the server."""
    db.session.execute(update(Delivery).values(due_at_ms=0))
    db.session.execute(update(MailServer).values(retry_at_ms=0))
    db.session.commit()


def test_email_has_text_and_html_parts_with_the_portal_link(simulator: servers.SimulatorClient) -> None:
    scenario.run_email_worker()
    mail = next(mail for mail in simulator.received_emails() if mail["to"] == ["p0@example.org"])
    assert mail["subject"] == "Your renewal is due, Person"
    assert "whole story" in mail["text"]
    assert "<strong" in mail["html"]
    assert "style=" in mail["html"], "styles are inlined"
    assert "/c/" in mail["text"]
    assert "/c/" in mail["html"]


def test_temporarily_rejected_email_is_retried(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "451_rcpt", "to": "p1@example.org", "count": 1}])
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    make_everything_due()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 3}
    assert len({mail["message_id"] for mail in simulator.received_emails()}) == 3


def test_unknown_email_is_resent_with_the_same_message_id(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "drop_after_data", "count": 1}])
    scenario.run_email_worker()
    make_everything_due()
    scenario.run_email_worker()
    ids = [mail["message_id"] for mail in simulator.received_emails()]
    assert (len(ids), len(set(ids))) == (4, 3)
    assert scenario.count_states("email") == {"handed_off": 3}


def test_rejected_address_does_not_stop_the_others(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "550_rcpt", "to": "p1@example.org"}])
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "rejected": 1}


def test_malformed_address_does_not_stop_the_others(simulator: servers.SimulatorClient) -> None:
    db.session.execute(update(Delivery).where(Delivery.address == "p1@example.org").values(address="a..b@@x"))
    db.session.commit()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "rejected": 1}


def server_row() -> MailServer:
    db.session.remove()
    return db.session.scalars(select(MailServer)).one()


def expire_email_leases() -> None:
    """Release the leases of a crashed worker, as maintenance does."""
    maintenance.expire_stale_leases(scenario.now_ms() + 400_000)
    requeue_unknown_emails(scenario.now_ms() + 400_000)


def failed_attempt_count() -> int:
    return db.session.scalar(select(func.count()).where(Attempt.outcome.in_(("not_sent", "rejected")))) or 0


def test_mail_server_that_is_down_is_probed_with_single_emails(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "refuse_connect"}])
    for turn in (1, 2):
        scenario.run_email_worker()
        scenario.run_email_worker()
        assert (scenario.count_states("email"), failed_attempt_count()) == ({"ready": 3}, turn)
        assert server_row().down_since_ms
        assert claim_emails(scenario.now_ms()) == [], "the server is in its cooldown"
        make_everything_due()
    assert {row.attempt_count for row in scenario.deliveries("email")} == {0}, "waiting for the server is no attempt"
    simulator.set_faults()
    scenario.run_email_worker()
    assert len(simulator.received_emails()) == 3
    assert (server_row().down_since_ms, server_row().last_error) == (None, "")


def test_ten_temporary_rejections_start_the_cooldown(simulator: servers.SimulatorClient) -> None:
    scenario.create_more_accounts(22)
    scenario.create_expanded_send()
    simulator.set_faults(smtp=[{"kind": "451_rcpt"}])
    scenario.run_email_worker()
    assert failed_attempt_count() == 10
    assert "try again later" in server_row().last_error
    make_everything_due()
    scenario.run_email_worker()
    assert failed_attempt_count() == 11
    make_everything_due()
    assert [len(claim_emails(scenario.now_ms())) for _ in range(2)] == [1, 0], (
        "one worker probes with one email at a time"
    )
    simulator.set_faults()
    expire_email_leases()
    make_everything_due()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 28}


def test_repeatedly_deferred_email_delays_only_itself(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "451_rcpt", "to": "p1@example.org"}])
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    db.session.execute(update(Delivery).where(Delivery.state == "ready").values(attempt_count=MAX_EMAIL_ATTEMPTS - 1))
    make_everything_due()
    scenario.run_email_worker()
    expired = next(row for row in scenario.deliveries("email") if row.state == "expired")
    label, tone, detail = describe_state(expired)
    assert (label, tone) == ("Sending stopped", "bad")
    assert "(code 4.3.0)" in detail
    assert server_row().down_since_ms is None


def test_rejection_explains_the_cause_and_the_remedy(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "550_rcpt", "to": "p1@example.org"}])
    scenario.run_email_worker()
    refused = next(row for row in scenario.deliveries("email") if row.state == "rejected")
    assert refused.error_code == "5.1.1"
    assert describe_state(refused)[2].startswith("There is no such mailbox. Ask the person for another address")
    assert "The server said: 5.1.1 No such mailbox here" in timeline_entries(refused)[-1].detail


def test_server_refusing_to_relay_loses_no_email(
    simulator: servers.SimulatorClient,
) -> None:
    """The server answers 550 to every recipient: it rejects the portal."""
    scenario.create_more_accounts(22)
    scenario.create_expanded_send()
    simulator.set_faults(smtp=[{"kind": "550_relay"}])
    scenario.run_email_worker()
    assert (failed_attempt_count(), scenario.count_states("email")) == (10, {"ready": 28})
    for turn in range(5):
        make_everything_due()
        scenario.run_email_worker()
        assert (failed_attempt_count(), scenario.count_states("email")) == (11 + turn, {"ready": 28})
    assert server_row().down_since_ms
    assert "relay not permitted" in server_row().last_error
    tried = {row.id for row in scenario.deliveries("email") if row.due_at_ms > scenario.now_ms() + 60_000}
    assert tried, "the next probe uses another email"
    simulator.set_faults()
    mail_server_status.retry_mail_server_now(scenario.now_ms())
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 28}, "once it is fixed, nothing waits"


def test_server_faults_do_not_count_as_attempts(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_more_accounts(7)
    scenario.create_expanded_send()
    simulator.set_faults(smtp=[{"kind": "451_rcpt"}])
    scenario.run_email_worker()
    attempts = {row.id: row.attempt_count for row in scenario.deliveries("email")}
    for _ in range(15):
        make_everything_due()
        scenario.run_email_worker()
    assert failed_attempt_count() == 10 + 15
    assert {row.id: row.attempt_count for row in scenario.deliveries("email")} == attempts
    simulator.set_faults()
    make_everything_due()
    scenario.run_email_worker()
    assert set(scenario.count_states("email")) == {"handed_off"}


def test_accepted_probe_releases_the_other_emails(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_more_accounts(7)
    scenario.create_expanded_send()
    simulator.set_faults(smtp=[{"kind": "550_relay"}])
    scenario.run_email_worker()
    first = scenario.deliveries("email")[0].id
    simulator.set_faults()
    db.session.execute(update(Delivery).where(Delivery.id == first).values(due_at_ms=0))
    db.session.execute(update(MailServer).values(retry_at_ms=0))
    db.session.commit()
    scenario.run_email_worker()
    assert set(scenario.count_states("email")) == {"handed_off"}


def test_repeated_relay_rejection_of_one_email_is_final(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "550_relay", "to": "p1@example.org"}])
    for turn in range(7):
        assert scenario.count_states("email").get("rejected", 0) == 0, f"after {turn} tries"
        scenario.run_email_worker()
        make_everything_due()
    (refused,) = [row for row in scenario.deliveries("email") if row.state == "rejected"]
    assert refused.error_code == "5.7.1"


def test_slow_server_gets_small_batches(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_more_accounts(12)
    scenario.create_expanded_send()
    simulator.set_faults(smtp=[{"kind": "slow", "seconds": 0.4}])
    claimed = claim_emails(scenario.now_ms())
    assert len(claimed) == 18
    with SmtpGateway(settings().smtp_url, settings().mail_from) as gateway:
        next_limit = email_worker.send_batch(claimed, gateway, lambda: False)
    assert next_limit <= 3
    assert scenario.count_states("email") == {"handed_off": next_limit, "ready": 18 - next_limit}
    assert {row.attempt_count for row in scenario.deliveries("email") if row.state == "ready"} == {0}


def test_database_outage_while_composing_loses_no_email(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database fails between the claim and composing; the email is sent when it is back."""
    failures = [2]

    def fail_twice(delivery: Delivery, sent_to: str) -> OutgoingEmail:
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("SELECT", {}, Exception("too many connections"))
        return build_mail(delivery, sent_to)

    monkeypatch.setattr(email_worker, "build_mail", fail_twice)
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 1, "ready": 2}
    assert {row.attempt_count for row in scenario.deliveries("email") if row.state == "ready"} == {0}
    make_everything_due()
    scenario.run_email_worker()
    assert len(simulator.received_emails()) == 3


def test_email_that_cannot_be_composed_is_retried(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_one(delivery: Delivery, sent_to: str) -> OutgoingEmail:
        if delivery.address == "p1@example.org":
            raise LookupError("a bug")
        return build_mail(delivery, sent_to)

    monkeypatch.setattr(email_worker, "build_mail", fail_for_one)
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    monkeypatch.undo()
    make_everything_due()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 3}


def test_mail_server_outage_does_not_delay_texts(simulator: servers.SimulatorClient) -> None:
    scenario.create_more_accounts(1)
    scenario.create_expanded_send(audience={"external_ids": ["Q-0"]})
    simulator.set_faults(smtp=[{"kind": "refuse_connect"}])
    scenario.run_email_worker()
    scenario.run_sms_worker()
    assert scenario.count_states("sms")["accepted"] == 1
