"""The email override: where emails go, and what the history says."""

from dataclasses import replace

import pytest
from flask import current_app

from portal.core.context import settings as environment
from portal.core.extensions import db
from portal.core.rules.setting_error import SettingError
from portal.delivery.email_claim import can_claim_emails, claim_emails
from portal.delivery.email_worker import send_batch
from portal.gateways.smtp import SmtpGateway
from portal.messages.tables.communications import Attempt
from portal.messages.timeline import describe_state, redirect_note, timeline_entries
from portal.operations.rules.mail_server_checks import check_email_override
from portal.settings import app_settings, setting_changes
from portal.settings.setting_changes import SettingUpdate, change_setting
from portal.settings.tables.setting_values import AppSetting
from tests.support import scenario, servers
from tests.support.fakes.scripted_smtp_server import accept_everything, scripted_smtp_server

pytestmark = pytest.mark.usefixtures("app")

ADDRESS = "rehearsals@example.org"


@pytest.fixture(autouse=True)
def three_emails(app: object) -> None:
    scenario.configure_gateway()
    scenario.create_accounts(3)
    scenario.add_template()
    scenario.create_expanded_send()


def set_email_override(on: str = "true", until_ms: int | None = None) -> None:
    setting_changes.set_setting("EmailOverrideAddress", ADDRESS, None, scenario.now_ms())
    change_setting(SettingUpdate("EnableEmailOverride", None, scenario.now_ms(), expires_at_ms=until_ms), on)


def recipients_reached(simulator: servers.SimulatorClient) -> list[str]:
    return sorted(to for mail in simulator.received_emails() for to in mail["to"])


def test_override_receives_every_email(simulator: servers.SimulatorClient) -> None:
    set_email_override()
    scenario.run_email_worker()
    assert recipients_reached(simulator) == [ADDRESS] * 3
    delivery = scenario.deliveries("email")[0]
    assert describe_state(delivery)[:2] == ("Override: sent", "off")
    assert (
        redirect_note(delivery)
        == f"It went to the override address r•••@example.org. It was meant for {delivery.address}."
    )
    assert "Override: it went to r•••@example.org instead." in [entry.detail for entry in timeline_entries(delivery)]


def test_emails_reach_recipients_after_the_override_ends(simulator: servers.SimulatorClient) -> None:
    set_email_override()
    set_email_override("false")
    scenario.run_email_worker()
    assert recipients_reached(simulator) == ["p0@example.org", "p1@example.org", "p2@example.org"]
    assert {redirect_note(delivery) for delivery in scenario.deliveries("email")} == {""}


def test_email_claimed_during_the_override_stays_redirected(simulator: servers.SimulatorClient) -> None:
    set_email_override()
    claimed = claim_emails(scenario.now_ms())
    set_email_override("false")
    with SmtpGateway(environment().smtp_url, environment().mail_from) as gateway:
        send_batch(claimed, gateway, lambda: False)
    assert recipients_reached(simulator) == [ADDRESS] * 3
    db.session.remove()
    assert {attempt.mode for attempt in db.session.query(Attempt)} == {"override"}


def test_email_claimed_before_the_override_is_not_redirected(simulator: servers.SimulatorClient) -> None:
    claimed = claim_emails(scenario.now_ms())
    set_email_override()
    with SmtpGateway(environment().smtp_url, environment().mail_from) as gateway:
        send_batch(claimed, gateway, lambda: False)
    assert recipients_reached(simulator) == ["p0@example.org", "p1@example.org", "p2@example.org"]


def test_override_expires() -> None:
    ends_ms = scenario.now_ms() + 3_600_000
    set_email_override(until_ms=ends_ms)
    assert app_settings.email_route(ends_ms - 1).override_on
    assert not app_settings.email_route(ends_ms).override_on


@pytest.mark.parametrize("address", ["", "nobody", "a@b@c.example", "a b@example.org", "a@localhost", "x@-.example"])
def test_invalid_override_address_is_rejected(address: str) -> None:
    with pytest.raises(SettingError) as error:
        setting_changes.set_setting("EmailOverrideAddress", address, None, scenario.now_ms())
    assert "EmailOverrideAddress" in error.value.errors


@pytest.mark.parametrize(
    ("greeting", "message"), [("220 here\r\n", ""), (None, "cannot be reached to check whether it supports them")]
)
def test_override_address_needs_smtputf8_support_if_not_ascii(
    monkeypatch: pytest.MonkeyPatch, greeting: str | None, message: str
) -> None:
    with scripted_smtp_server(accept_everything if greeting else lambda _line, _mails: None) as server:
        monkeypatch.setitem(current_app.config, "PORTAL", replace(environment(), smtp_url=server.url))
        with pytest.raises(SettingError) as error:
            setting_changes.set_setting("EmailOverrideAddress", "jürgen@example.org", None, scenario.now_ms())
        setting_changes.set_setting("EmailOverrideAddress", "proben@bücher.example", None, scenario.now_ms())
    assert (message or "it offers no SMTPUTF8") in error.value.errors["EmailOverrideAddress"]


def test_diagnostics_show_the_email_override() -> None:
    assert check_email_override(app_settings.email_route(scenario.now_ms())).verdict == "ok"
    set_email_override()
    active = check_email_override(app_settings.email_route(scenario.now_ms()))
    assert (active.verdict, ADDRESS in active.reason, "r•••@example.org" in active.reason) == ("warning", False, True)
    db.session.query(AppSetting).filter_by(name="EmailOverrideAddress").delete()
    db.session.commit()
    missing = check_email_override(app_settings.email_route(scenario.now_ms()))
    assert (missing.verdict, "emails wait" in missing.reason) == ("failing", True)


def test_override_requires_an_address() -> None:
    with pytest.raises(SettingError) as error:
        setting_changes.set_setting("EnableEmailOverride", "true", None, scenario.now_ms())
    assert "set EmailOverrideAddress first" in error.value.errors["EnableEmailOverride"]


def test_override_without_an_address_sends_nothing(simulator: servers.SimulatorClient) -> None:
    set_email_override()
    db.session.query(AppSetting).filter_by(name="EmailOverrideAddress").delete()
    db.session.commit()
    assert not can_claim_emails(scenario.now_ms())
    scenario.run_email_worker()
    assert simulator.received_emails() == []
    assert scenario.count_states("email") == {"ready": 3}


@pytest.mark.one_engine
def test_sms_modes_do_not_affect_emails(simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(
        EnableSmsTestMode="true", EnableSmsOverrideNumber="true", SmsOverrideNumber="+14155550199"
    )
    scenario.run_email_worker()
    assert recipients_reached(simulator) == ["p0@example.org", "p1@example.org", "p2@example.org"]
