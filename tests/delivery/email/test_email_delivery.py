"""Email always goes, at least once, with the same Message-ID, and trouble with one address holds up nobody else."""

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.exc import OperationalError

from portal.core.context import settings
from portal.core.extensions import db
from portal.delivery import email_worker, mail_server_status, maintenance
from portal.delivery.email_claim import claim_emails
from portal.delivery.email_worker import MAX_EMAIL_ATTEMPTS
from portal.delivery.reconciliation import requeue_unknown_emails
from portal.delivery.tables.mail_server import MailServer
from portal.gateways.smtp import OutgoingEmail, SmtpGateway
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
    """Whatever was waited for is over: the mails' own time, and the server's rest."""
    db.session.execute(update(Delivery).values(due_at_ms=0))
    db.session.execute(update(MailServer).values(retry_at_ms=0))
    db.session.commit()


def test_a_mail_has_text_and_html_and_the_link_to_the_portals_copy(simulator: servers.SimulatorClient) -> None:
    scenario.run_email_worker()
    mail = next(mail for mail in simulator.received_emails() if mail["to"] == ["p0@example.org"])
    assert mail["subject"] == "Your renewal is due, Person"
    assert "whole story" in mail["text"]
    assert "<strong" in mail["html"]
    assert "style=" in mail["html"], "styles are inlined"
    assert "/c/" in mail["text"]
    assert "/c/" in mail["html"]


def test_a_server_that_asks_to_wait_gets_the_same_message_later(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "451_rcpt", "to": "p1@example.org", "count": 1}])
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    make_everything_due()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 3}
    assert len({mail["message_id"] for mail in simulator.received_emails()}) == 3


def test_a_mail_that_may_have_arrived_is_sent_again_under_the_same_message_id(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "drop_after_data", "count": 1}])
    scenario.run_email_worker()
    make_everything_due()
    scenario.run_email_worker()
    ids = [mail["message_id"] for mail in simulator.received_emails()]
    assert (len(ids), len(set(ids))) == (4, 3)
    assert scenario.count_states("email") == {"handed_off": 3}


def test_an_address_that_is_refused_is_final_and_the_others_go(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "550_rcpt", "to": "p1@example.org"}])
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "rejected": 1}


def test_an_address_nobody_could_write_is_refused_and_the_others_go(simulator: servers.SimulatorClient) -> None:
    db.session.execute(update(Delivery).where(Delivery.address == "p1@example.org").values(address="a..b@@x"))
    db.session.commit()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "rejected": 1}


def server_row() -> MailServer:
    db.session.remove()
    return db.session.scalars(select(MailServer)).one()


def expire_email_leases() -> None:
    """As the sweep does for a worker that died."""
    maintenance.expire_stale_leases(scenario.now_ms() + 400_000)
    requeue_unknown_emails(scenario.now_ms() + 400_000)


def failed_attempt_count() -> int:
    return db.session.scalar(select(func.count()).where(Attempt.outcome.in_(("not_sent", "rejected")))) or 0


def test_a_mail_server_that_is_away_loses_nothing_and_is_tried_with_one_mail_at_a_time(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "refuse_connect"}])
    for turn in (1, 2):
        scenario.run_email_worker()
        scenario.run_email_worker()
        assert (scenario.count_states("email"), failed_attempt_count()) == ({"ready": 3}, turn)
        assert server_row().down_since_ms
        assert claim_emails(scenario.now_ms()) == [], "the server is left alone"
        make_everything_due()
    assert {row.attempt_count for row in scenario.deliveries("email")} == {0}, "waiting for the server burns no try"
    simulator.set_faults()
    scenario.run_email_worker()
    assert len(simulator.received_emails()) == 3
    assert (server_row().down_since_ms, server_row().last_error) == (None, "")


def test_a_server_that_asks_everybody_to_wait_is_left_alone_after_ten(simulator: servers.SimulatorClient) -> None:
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
        "one mail at a time is tried, by one worker"
    )
    simulator.set_faults()
    expire_email_leases()
    make_everything_due()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 28}


def test_one_mail_that_is_put_off_again_and_again_delays_itself_alone_and_is_given_up(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "451_rcpt", "to": "p1@example.org"}])
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    db.session.execute(update(Delivery).where(Delivery.state == "ready").values(attempt_count=MAX_EMAIL_ATTEMPTS - 1))
    make_everything_due()
    scenario.run_email_worker()
    given_up = next(row for row in scenario.deliveries("email") if row.state == "expired")
    words, tone, detail = describe_state(given_up)
    assert (words, tone) == ("Given up", "bad")
    assert "(code 4.3.0)" in detail
    assert server_row().down_since_ms is None


def test_a_refusal_says_why_and_what_to_do(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp=[{"kind": "550_rcpt", "to": "p1@example.org"}])
    scenario.run_email_worker()
    refused = next(row for row in scenario.deliveries("email") if row.state == "rejected")
    assert refused.error_code == "5.1.1"
    assert describe_state(refused)[2].startswith("There is no such mailbox. Ask the person for another address")
    assert "Its words: 5.1.1 No such mailbox here" in timeline_entries(refused)[-1].detail


def test_a_server_that_relays_nothing_for_us_any_more_costs_nobody_their_mail(
    simulator: servers.SimulatorClient,
) -> None:
    """It answers 550 to every recipient, and means us."""
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
    assert tried, "another one is tried next time"
    simulator.set_faults()
    mail_server_status.retry_mail_server_now(scenario.now_ms())
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 28}, "when it is mended nothing waits any longer"


def test_days_in_which_a_server_puts_everybody_off_for_its_own_reasons_cost_nobody_their_mail(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_more_accounts(7)
    scenario.create_expanded_send()
    simulator.set_faults(smtp=[{"kind": "451_rcpt"}])
    scenario.run_email_worker()
    burned = {row.id: row.attempt_count for row in scenario.deliveries("email")}
    for _ in range(15):
        make_everything_due()
        scenario.run_email_worker()
    assert failed_attempt_count() == 10 + 15
    assert {row.id: row.attempt_count for row in scenario.deliveries("email")} == burned
    simulator.set_faults()
    make_everything_due()
    scenario.run_email_worker()
    assert set(scenario.count_states("email")) == {"handed_off"}


def test_when_the_server_takes_the_mail_that_it_was_tried_with_the_others_follow_at_once(
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


def test_a_refusal_that_means_us_for_one_mail_alone_is_final_after_a_few_tries(
    simulator: servers.SimulatorClient,
) -> None:
    simulator.set_faults(smtp=[{"kind": "550_relay", "to": "p1@example.org"}])
    for turn in range(7):
        assert scenario.count_states("email").get("rejected", 0) == 0, f"after {turn} tries"
        scenario.run_email_worker()
        make_everything_due()
    (refused,) = [row for row in scenario.deliveries("email") if row.state == "rejected"]
    assert refused.error_code == "5.7.1"


def test_a_slow_server_gets_a_few_mails_at_a_time_so_that_a_pause_takes_effect_within_a_second(
    simulator: servers.SimulatorClient,
) -> None:
    scenario.create_more_accounts(12)
    scenario.create_expanded_send()
    simulator.set_faults(smtp=[{"kind": "slow", "seconds": 0.4}])
    claimed = claim_emails(scenario.now_ms())
    assert len(claimed) == 18
    with SmtpGateway(settings().smtp_url, settings().mail_from) as gateway:
        next_most = email_worker.send_batch(claimed, gateway, lambda: False)
    assert next_most <= 3
    assert scenario.count_states("email") == {"handed_off": next_most, "ready": 18 - next_most}
    assert {row.attempt_count for row in scenario.deliveries("email") if row.state == "ready"} == {0}


def test_a_database_that_does_not_answer_for_a_moment_costs_nobody_their_mail(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the claim and the writing of the mail: it is written when the database is back."""
    failures, mail_for = [2], email_worker.mail_for

    def crowded(delivery: Delivery, sent_to: str) -> OutgoingEmail:
        if failures[0]:
            failures[0] -= 1
            raise OperationalError("SELECT", {}, Exception("too many connections"))
        return mail_for(delivery, sent_to)

    monkeypatch.setattr(email_worker, "mail_for", crowded)
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 1, "ready": 2}
    assert {row.attempt_count for row in scenario.deliveries("email") if row.state == "ready"} == {0}
    make_everything_due()
    scenario.run_email_worker()
    assert len(simulator.received_emails()) == 3


def test_a_mail_that_the_portal_cannot_write_is_tried_again_and_the_others_go(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_for = email_worker.mail_for

    def breaks(delivery: Delivery, sent_to: str) -> OutgoingEmail:
        if delivery.address == "p1@example.org":
            raise LookupError("a fault of ours")
        return mail_for(delivery, sent_to)

    monkeypatch.setattr(email_worker, "mail_for", breaks)
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 2, "ready": 1}
    monkeypatch.undo()
    make_everything_due()
    scenario.run_email_worker()
    assert scenario.count_states("email") == {"handed_off": 3}


def test_mail_in_trouble_holds_up_no_text(simulator: servers.SimulatorClient) -> None:
    scenario.create_more_accounts(1)
    scenario.create_expanded_send(audience={"external_ids": ["Q-0"]})
    simulator.set_faults(smtp=[{"kind": "refuse_connect"}])
    scenario.run_email_worker()
    scenario.run_sms_worker()
    assert scenario.count_states("sms")["accepted"] == 1
