"""Change settings: history, expiry, confirmation to go live, encryption, and immediate effect."""

import base64
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import time
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import func, select, text
from sqlalchemy.exc import DatabaseError

from portal import create_app
from portal.accounts.account_management import NewAccount, create_account
from portal.consent.recording import record
from portal.consent.rules.consent_state import EventKind
from portal.core.config import TWILIO_API_URL, Settings
from portal.core.errors import ActionRefused, InvalidInput
from portal.core.extensions import db
from portal.core.rules.limits.quiet_hours import QuietHours
from portal.core.rules.routing import Mode
from portal.core.rules.setting_error import SettingError
from portal.core.transaction import transaction
from portal.messages.tables.communications import Attempt
from portal.settings import app_settings, setting_history, token_rotation
from portal.settings.app_settings import configuration, current_text_limits
from portal.settings.key_rotation import rotate_keys
from portal.settings.rules.text_limits import TextLimits
from portal.settings.setting_changes import (
    LiveConfirmationRequired,
    SettingUpdate,
    change_setting,
    set_setting,
)
from portal.settings.tables.setting_values import AppSetting, SettingChange, history_entries
from tests.support import scenario, servers
from tests.support.commands.command_runner import CommandRunner
from tests.support.invalid_inputs import INVALID_VALUES, VALID_VALUES

pytestmark = pytest.mark.usefixtures("app")
NOW, HOUR = 1_790_000_000_000, 3_600_000
NEW_KEY = b"n" * 32
CREDENTIALS = {"AccountSid": "AC" + "0" * 32, "AuthToken": "canary-token-of-before"}
TEST, OVERRIDE, AUTHENTICATION = "EnableSmsTestMode", "EnableSmsOverrideNumber", "SmsGatewayAuthentication"


@pytest.fixture
def unfixed_limits(app: Flask) -> None:
    """No environment variable fixes a setting."""
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours="", frequency_cap="")


@pytest.fixture
def real_gateway(app: Flask, settings: Settings) -> Iterator[None]:
    """The same portal with Twilio's real address: nothing is sent, but going live needs confirmation."""
    with create_app(replace(settings, twilio_api_url=TWILIO_API_URL)).app_context():
        yield
        db.session.remove()
        db.engine.dispose()


@pytest.fixture
def sysadmin_id() -> int:
    create_account(NewAccount("S-1", "Sasha Lund", "sasha@example.org", "Staff", "sysadmin", "UTC"), NOW)
    return db.session.scalar(text("SELECT id FROM account")) or 0


def configure_gateway(**changes: str) -> None:
    """A complete gateway, with texts off."""
    values = {
        "SmsGatewayAuthentication": json.dumps(CREDENTIALS),
        "SmsGatewaySettings": '{"FromNumber": "+12025550100"}',
        "TestSmsGatewayAuthentication": json.dumps({**CREDENTIALS, "AccountSid": "AC" + "1" * 32}),
        "TestSmsGatewaySettings": '{"FromNumber": "+15005550006"}',
        "SmsOverrideNumber": "+12025550142",
        **changes,
    }
    for name, value in values.items():
        set_setting(name, value, None, NOW)


def set_switch(
    name: str, on: bool, expires_at_ms: int | None = None, confirmation: str | None = "", at_ms: int = NOW
) -> int | None:
    """As the page does it."""
    change = SettingUpdate(name, None, at_ms, "page", expires_at_ms, confirmation)
    return change_setting(change, "true" if on else "false")


def history_of(name: str = "") -> list[tuple[str, str, str]]:
    return [(entry.name, entry.old_value, entry.new_value) for entry in history_entries(50, (name,) if name else ())]


def test_history_records_who_changed_what_without_secrets(sysadmin_id: int) -> None:
    set_setting("SmsOverrideNumber", "+12025550100", sysadmin_id, NOW)
    set_setting("SmsOverrideNumber", "+12025550142", None, NOW + 1)
    set_setting(AUTHENTICATION, json.dumps(CREDENTIALS), sysadmin_id, NOW + 2)
    set_setting(AUTHENTICATION, json.dumps({**CREDENTIALS, "AuthToken": "canary-token-of-after"}), sysadmin_id, NOW + 3)
    entries = history_entries(10)
    assert [(entry.changed_by, entry.at_ms - NOW) for entry in entries] == [
        ("Sasha Lund", 3),
        ("Sasha Lund", 2),
        ("Command line", 1),
        ("Sasha Lund", 0),
    ]
    assert (entries[3].old_value, entries[3].new_value, entries[2].new_value) == (
        "",
        "+12025550100",
        "+12025550142",
    )
    assert json.loads(entries[0].old_value) == {"AccountSid": CREDENTIALS["AccountSid"], "AuthToken": "••••"}
    assert json.loads(entries[0].new_value) == {"AccountSid": CREDENTIALS["AccountSid"], "AuthToken": "changed"}
    assert "canary" not in str([(entry.old_value, entry.new_value) for entry in entries])


def test_saving_the_same_value_adds_no_history() -> None:
    for _ in range(2):
        set_setting(AUTHENTICATION, json.dumps(CREDENTIALS), None, NOW)
        set_setting("EnableSmsNotifications", "false", None, NOW)
    assert len(history_of()) == 2


@pytest.mark.parametrize("statement", ["UPDATE setting_change SET name = 'x'", "DELETE FROM setting_change"])
def test_history_is_append_only(statement: str) -> None:
    set_setting("EnableSmsNotifications", "true", None, NOW)
    with pytest.raises(DatabaseError, match="append-only"):
        db.session.execute(text(statement))
    db.session.rollback()
    assert len(history_of()) == 1


@pytest.mark.one_engine
@pytest.mark.usefixtures("unfixed_limits")
@pytest.mark.parametrize("name", INVALID_VALUES)
def test_invalid_input_changes_nothing(name: str) -> None:
    set_setting(name, VALID_VALUES[name], None, NOW)
    before = _rows()
    for invalid in INVALID_VALUES[name]:
        if '"AuthToken": ""' in invalid and '"Previous' not in invalid:
            continue  # an empty secret keeps what is stored
        with pytest.raises(InvalidInput) as raised:
            set_setting(name, invalid, None, NOW + 1)
        assert list(raised.value.errors) == [name], invalid
    assert _rows() == before


@pytest.mark.one_engine
def test_empty_secret_keeps_the_stored_one() -> None:
    set_setting(AUTHENTICATION, json.dumps(CREDENTIALS), None, NOW)
    set_setting(AUTHENTICATION, json.dumps({"AccountSid": "AC" + "f" * 32, "AuthToken": ""}), None, NOW)
    assert app_settings.configuration().values[AUTHENTICATION] == {**CREDENTIALS, "AccountSid": "AC" + "f" * 32}


def test_secrets_are_stored_encrypted_only(app: Flask) -> None:
    configure_gateway()
    with db.engine.connect() as connection:
        tables = connection.execute(text("SELECT name, value FROM app_setting")).all()
        lines = connection.execute(text("SELECT old_value, new_value FROM setting_change")).all()
    assert "canary" not in str(tables)
    assert "canary" not in str(lines)
    assert all(value.startswith("v1.") for name, value in tables if name.endswith("Authentication"))


def test_test_mode_expires_without_a_write() -> None:
    configure_gateway(EnableSmsNotifications="true")
    set_switch(TEST, True, NOW + HOUR)
    modes = [app_settings.resolve_current_gateway(at_ms).switches.mode for at_ms in (NOW, NOW + HOUR - 1, NOW + HOUR)]
    assert modes == [Mode.TEST, Mode.TEST, Mode.LIVE]
    expected = Mode.LIVE if scenario.now_ms() >= NOW + HOUR else Mode.TEST
    assert app_settings.resolve_current_gateway().switches.mode is expected


def test_expiry_precedes_the_next_change_in_history() -> None:
    set_switch(OVERRIDE, True, NOW + HOUR)
    assert setting_history.expired_switches(NOW + HOUR - 1) == []
    (ended,) = setting_history.expired_switches(NOW + HOUR)
    assert (ended.name, ended.old_value, ended.new_value, ended.at_ms) == (OVERRIDE, "true", "false", NOW + HOUR)
    assert setting_history.latest_entries(NOW + HOUR)[OVERRIDE].changed_by == "Expired automatically"
    set_switch(OVERRIDE, True, at_ms=NOW + 2 * HOUR)
    assert history_of() == [(OVERRIDE, "false", "true"), (OVERRIDE, "true", "false"), (OVERRIDE, "", "true")]
    assert [line.at_ms for line in history_entries(9)] == [NOW + 2 * HOUR, NOW + HOUR, NOW]
    assert setting_history.expired_switches(NOW + 3 * HOUR) == []


@pytest.mark.one_engine
@pytest.mark.parametrize("sender", ["SmsGatewaySettings", "TestSmsGatewaySettings"])
def test_sending_number_cannot_be_the_override_number(sender: str) -> None:
    configure_gateway()
    own = app_settings.configuration().values[sender]["FromNumber"]
    with pytest.raises(SettingError, match=f"must differ from the numbers of {sender}") as raised:
        set_setting("SmsOverrideNumber", own, None, NOW)
    assert set(raised.value.errors_by_key) == {""}
    with pytest.raises(SettingError, match="must differ from SmsOverrideNumber") as raised:
        set_setting(sender, '{"FromNumber": "+12025550142"}', None, NOW)
    assert set(raised.value.errors_by_key) == {"FromNumber"}
    assert app_settings.configuration().values[sender] == {"FromNumber": own}


@pytest.mark.one_engine
def test_stopped_number_is_rejected_as_override() -> None:
    configure_gateway()
    with transaction():
        record("+12025550142", EventKind.STOP, "handset", NOW, NOW)
        record("+12025550143", EventKind.STOP, "handset", NOW, NOW)
    for name, value in ((OVERRIDE, "true"), ("SmsOverrideNumber", "+12025550143")):
        with pytest.raises(SettingError, match="Text START from that phone, or choose another"):
            set_setting(name, value, None, NOW)
    set_setting(OVERRIDE, "false", None, NOW)
    set_setting("SmsOverrideNumber", "+12025550144", None, NOW)
    set_setting(OVERRIDE, "true", None, NOW)
    assert app_settings.opted_out_override(app_settings.resolve_current_gateway(NOW).switches) is None


def test_changed_expiry_is_recorded_once() -> None:
    for expires_at_ms in (NOW + HOUR, NOW + 2 * HOUR, NOW + 2 * HOUR, None):
        set_switch(TEST, True, expires_at_ms)
    assert [line.expires_at_ms for line in history_entries(9)] == [None, NOW + 2 * HOUR, NOW + HOUR]


@pytest.mark.one_engine
@pytest.mark.usefixtures("real_gateway")
@pytest.mark.parametrize("confirmation", ["", "live", "yes", "LIVE!"])
def test_going_live_needs_a_typed_confirmation(confirmation: str) -> None:
    configure_gateway()
    with pytest.raises(LiveConfirmationRequired) as raised:
        set_switch("EnableSmsNotifications", True, confirmation=confirmation)
    assert raised.value.live_at_ms == NOW
    assert app_settings.resolve_current_gateway(NOW).switches.mode is Mode.OFF
    assert set_switch("EnableSmsNotifications", True, confirmation=" LIVE ") == NOW
    assert app_settings.resolve_current_gateway(NOW).switches.mode is Mode.LIVE


@pytest.mark.one_engine
@pytest.mark.usefixtures("real_gateway")
def test_turning_off_texts_needs_no_confirmation() -> None:
    configure_gateway(EnableSmsNotifications="true")
    for name in (TEST, OVERRIDE):
        assert set_switch(name, True) is None
        with pytest.raises(LiveConfirmationRequired):
            set_switch(name, False)
        assert set_switch(name, False, confirmation="LIVE") == NOW
    assert set_switch("EnableSmsNotifications", False) is None


@pytest.mark.one_engine
@pytest.mark.usefixtures("real_gateway")
def test_expiry_that_goes_live_needs_confirmation() -> None:
    configure_gateway(EnableSmsNotifications="true", EnableSmsTestMode="true")
    with pytest.raises(LiveConfirmationRequired) as raised:
        set_switch(TEST, True, NOW + HOUR)
    assert raised.value.live_at_ms == NOW + HOUR
    assert app_settings.configuration().expires_at_ms_by_name == {}
    assert set_switch(TEST, True, NOW + HOUR, "LIVE") == NOW + HOUR


@pytest.mark.one_engine
@pytest.mark.usefixtures("real_gateway")
def test_completing_the_gateway_needs_confirmation() -> None:
    configure_gateway(EnableSmsNotifications="true", SmsGatewaySettings='{"MessagingServiceSid": "MG' + "0" * 32 + '"}')
    set_setting("SmsGatewayType", "Twilio", None, NOW)
    db.session.execute(text("DELETE FROM app_setting WHERE name = 'SmsGatewayAuthentication'"))
    db.session.commit()
    with pytest.raises(LiveConfirmationRequired):
        change_setting(SettingUpdate(AUTHENTICATION, None, NOW, "page", confirmation=""), json.dumps(CREDENTIALS))


@pytest.mark.one_engine
@pytest.mark.usefixtures("real_gateway")
def test_command_line_goes_live_without_confirmation() -> None:
    configure_gateway()
    assert set_setting("EnableSmsNotifications", "true", None, NOW) == NOW


@pytest.mark.one_engine
def test_simulator_needs_no_confirmation() -> None:
    configure_gateway()
    assert set_switch("EnableSmsNotifications", True) is None
    assert app_settings.resolve_current_gateway(NOW).switches.mode is Mode.LIVE


@pytest.mark.one_engine
def test_both_tokens_are_accepted_during_rotation() -> None:
    set_setting(AUTHENTICATION, json.dumps(CREDENTIALS), None, NOW)
    change = SettingUpdate(AUTHENTICATION, None, NOW, "page")
    token_rotation.rotate_auth_token(change, "token-of-after-5678")
    assert app_settings.signing_tokens() == ["token-of-after-5678", "canary-token-of-before"]
    credentials = app_settings.live_gateway().credentials
    assert credentials is not None
    assert credentials.password == "token-of-after-5678"
    token_rotation.drop_previous_token(change)
    assert app_settings.signing_tokens() == ["token-of-after-5678"]
    assert "canary" not in str(history_of())


@pytest.mark.one_engine
@pytest.mark.parametrize("token", ["", "canary-token-of-before", "a b\nc", " tökén"])
def test_invalid_new_token_is_rejected(token: str) -> None:
    set_setting(AUTHENTICATION, json.dumps(CREDENTIALS), None, NOW)
    with pytest.raises(InvalidInput) as raised:
        token_rotation.rotate_auth_token(SettingUpdate(AUTHENTICATION, None, NOW), token)
    assert "canary" not in str(raised.value)
    assert app_settings.signing_tokens() == ["canary-token-of-before"]


@pytest.mark.one_engine
def test_rotation_needs_an_existing_token() -> None:
    change = SettingUpdate(AUTHENTICATION, None, NOW)
    with pytest.raises(ActionRefused, match="Set the credentials first"):
        token_rotation.rotate_auth_token(change, "token")
    with pytest.raises(ActionRefused, match="no previous token"):
        token_rotation.drop_previous_token(change)


def test_key_rotation_is_idempotent(settings: Settings) -> None:
    configure_gateway()
    old = settings.encryption_keys[0]
    with _set_keys(settings, NEW_KEY, old):
        assert rotate_keys(NOW) == (3, 0), "two secrets, and the key of the logs"
        rows = _rows()
        assert rotate_keys(NOW) == (0, 3)
        assert _rows() == rows
    with _set_keys(settings, NEW_KEY):
        assert _token() == CREDENTIALS["AuthToken"]


def test_key_rotation_fails_without_changes(settings: Settings) -> None:
    configure_gateway()
    with _set_keys(settings, b"x" * 32):
        set_setting("TestSmsGatewayAuthentication", json.dumps(CREDENTIALS), None, NOW)
    before = _rows()
    with _set_keys(settings, NEW_KEY, settings.encryption_keys[0]), pytest.raises(ActionRefused) as raised:
        rotate_keys(NOW)
    assert "TestSmsGatewayAuthentication was encrypted with a key" in raised.value.message
    assert raised.value.message.endswith("Nothing was changed.")
    assert _rows() == before


@pytest.mark.one_engine
def test_unreadable_secret_stops_texts_but_not_pages(settings: Settings) -> None:
    configure_gateway(EnableSmsNotifications="true")
    with _set_keys(settings, NEW_KEY):
        assert app_settings.resolve_current_gateway().send_route is None
        assert list(app_settings.configuration().read_errors) == [AUTHENTICATION, "TestSmsGatewayAuthentication"]


def test_change_by_another_process_applies_at_once(app: Flask, command_runner: CommandRunner) -> None:
    scenario.configure_gateway(SmsOverrideNumber="+12025550142")
    assert app_settings.resolve_current_gateway().switches.mode is Mode.LIVE
    env = _environment(app.config["PORTAL"])
    assert command_runner.run(["config", "set", OVERRIDE, "true"], {**os.environ, **env}, "").returncode == 0
    db.session.remove()  # every request and every worker cycle starts with a fresh session
    assert app_settings.resolve_current_gateway().switches.mode is Mode.OVERRIDE
    assert app_settings.resolve_current_gateway().send_route.override_number == "+12025550142"  # type: ignore[union-attr]


def test_running_send_follows_a_change_within_a_second(app: Flask, simulator: servers.SimulatorClient) -> None:
    scenario.configure_gateway(rate=40, SmsOverrideNumber="+12025550142")
    scenario.create_accounts(120, with_sms=120)
    scenario.add_template()
    scenario.create_expanded_send()
    worker = threading.Thread(target=_drain, args=(app,))
    worker.start()
    servers.wait_for(lambda: len(simulator.accepted_texts()) > 20, "the first accepted texts")
    before_ms = scenario.now_ms()
    set_setting(OVERRIDE, "true", None, before_ms)
    changed_ms = scenario.now_ms()
    worker.join()
    db.session.remove()
    attempts = list(db.session.scalars(select(Attempt).order_by(Attempt.slot_at_ms)))
    assert {attempt.mode for attempt in attempts if attempt.slot_at_ms > changed_ms + 1000} == {"override"}
    assert {attempt.mode for attempt in attempts if attempt.slot_at_ms < before_ms} == {"live"}
    assert all((attempt.destination == "+12025550142") == (attempt.mode == "override") for attempt in attempts)


def test_attempts_never_mix_two_configurations(app: Flask, simulator: servers.SimulatorClient) -> None:
    # on a busy machine a response may take seconds; what becomes of such a text is tested elsewhere
    app.config["PORTAL"] = replace(app.config["PORTAL"], sms_timeout_seconds=30.0, sms_lease_seconds=60.0)
    scenario.configure_gateway(rate=100, SmsOverrideNumber="+12025550142")
    scenario.create_accounts(120, with_sms=120)
    scenario.add_template()
    scenario.create_expanded_send()
    workers = [threading.Thread(target=_drain, args=(app,)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for index in range(20):
        set_setting((TEST, OVERRIDE)[index % 2], str(index % 4 < 2).lower(), None, scenario.now_ms())
    set_setting(TEST, "false", None, scenario.now_ms())
    for worker in workers:
        worker.join()
    _drain(app)
    attempts = list(db.session.scalars(select(Attempt).where(Attempt.outcome == "accepted")))
    assert len(attempts) == 120
    for attempt in attempts:
        is_test = attempt.mode in ("test", "test_override")
        credentials = servers.TEST_CREDENTIALS if is_test else servers.LIVE_CREDENTIALS
        assert attempt.account_sid == credentials["AccountSid"]
        assert attempt.sender == ("+15005550006" if is_test else servers.FROM_NUMBER)
        assert (attempt.destination == "+12025550142") == attempt.mode.endswith("override")
    calls = [call for call in simulator.get("/simulator/log")["log"] if call["kind"] == "create"]
    pairs = {(call["account_sid"], call["from"]) for call in calls}
    assert pairs <= {
        (servers.LIVE_CREDENTIALS["AccountSid"], servers.FROM_NUMBER),
        (servers.TEST_CREDENTIALS["AccountSid"], "+15005550006"),
    }


def test_concurrent_changes_cannot_bypass_confirmation(app: Flask, settings: Settings) -> None:
    """Neither goes live alone: one turns texts on, the other turns test mode off."""
    configure_gateway(EnableSmsTestMode="true")
    raised: list[str] = []
    start = threading.Barrier(2)

    def toggle(name: str, on: bool) -> None:
        with create_app(replace(settings, twilio_api_url=TWILIO_API_URL)).app_context():
            start.wait()
            try:
                set_switch(name, on)
            except LiveConfirmationRequired:
                raised.append(name)
            finally:
                db.session.remove()
                db.engine.dispose()

    threads = [threading.Thread(target=toggle, args=pair) for pair in (("EnableSmsNotifications", True), (TEST, False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(raised) == 1


def _drain(app: Flask) -> None:
    with app.app_context():
        scenario.run_sms_worker()


def _rows() -> list[Any]:
    db.session.remove()
    stored = db.session.execute(select(AppSetting.name, AppSetting.value, AppSetting.changed_at_ms).order_by("name"))
    return [*stored.all(), db.session.scalar(select(func.count(SettingChange.id)))]


def _token() -> str:
    return str(app_settings.configuration().values[AUTHENTICATION]["AuthToken"])


def _set_keys(settings: Settings, *keys: bytes) -> Any:
    """The same database with other keys."""
    db.session.remove()
    return create_app(replace(settings, encryption_keys=keys)).app_context()


def _environment(settings: Settings) -> dict[str, str]:
    """For another process of this portal."""
    return {
        "PORTAL_INSTANCE": str(settings.instance),
        "PORTAL_DATABASE_URL": settings.database_url,
        "PORTAL_REDIS_URL": settings.redis_url,
        "PORTAL_SECRET_KEY": settings.secret_key,
        "PORTAL_ENCRYPTION_KEY": base64.b64encode(settings.encryption_keys[0]).decode(),
        "PORTAL_TWILIO_API_URL": settings.twilio_api_url,
    }


@pytest.mark.usefixtures("unfixed_limits")
def test_limits_protect_people_unless_they_are_changed(app: Flask) -> None:
    """By default, by a setting, and by an environment variable, which wins and cannot be changed here."""
    assert current_text_limits() == TextLimits(QuietHours(time(20), time(8)), 3)
    set_setting("SmsQuietHours", "21-9", None, NOW)
    set_setting("SmsFrequencyCap", "OFF", None, NOW)
    assert current_text_limits() == TextLimits(QuietHours(time(21), time(9)), None)
    assert configuration().values["SmsQuietHours"] == "21:00-09:00"
    for unreadable in (True, "dusk", {"begin": 9}):
        assert configuration().with_value("SmsQuietHours", unreadable).limits.quiet_hours == QuietHours(
            time(20), time(8)
        )
    set_setting("SmsQuietHours", "", None, NOW)
    app.config["PORTAL"] = replace(app.config["PORTAL"], quiet_hours="off", frequency_cap="5")
    assert current_text_limits() == TextLimits(None, 5)
    with pytest.raises(SettingError, match="The environment variable PORTAL_FREQUENCY_CAP sets this"):
        set_setting("SmsFrequencyCap", "3", None, NOW)
