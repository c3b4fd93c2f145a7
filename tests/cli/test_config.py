import base64
import contextlib
import json
import re

import pytest

from tests.support import servers
from tests.support.invalid_inputs import INVALID_VALUES
from tests.support.portal_shell import PortalShell, only_error_line

NAMES = (
    "EnableSmsNotifications",
    "SmsGatewayType",
    "SmsGatewayAuthentication",
    "SmsGatewaySettings",
    "ReportConsentToTwilio",
    "EnableSmsOverrideNumber",
    "SmsOverrideNumber",
    "EnableSmsTestMode",
    "TestSmsGatewayAuthentication",
    "TestSmsGatewaySettings",
    "EnableEmailOverride",
    "EmailOverrideAddress",
    "SmsQuietHours",
    "SmsFrequencyCap",
    "SmsPricePerSegment",
    "SendUndoSeconds",
    "SendApprovalRecipients",
    "RetentionBodiesDays",
    "RetentionEventsDays",
    "RetentionDeliveriesDays",
    "RetentionInboundDays",
    "RetentionAuditDays",
    "AlertFailurePercent",
    "AlertSegmentsPerDay",
    "AlertWebhook",
    "PublicUrl",
    "Region",
    "TimeZone",
    "Language",
    "EmailServer",
    "Business",
)


def test_new_portal_has_no_settings(shell: PortalShell) -> None:
    assert shell.output_of("config", "show").splitlines() == [f"{name} is not set" for name in NAMES]


def test_show_prints_settings_but_no_secrets(shell: PortalShell) -> None:
    results = [
        shell.output_of("config", "set", "EnableSmsNotifications", "TRUE"),
        shell.output_of(
            "config", "set", "SmsGatewayAuthentication", "-", stdin_text=json.dumps(servers.LIVE_CREDENTIALS) + "\n"
        ),
        shell.output_of(
            "config", "set", "SmsGatewaySettings", '{"FromNumber": "+12025550100", "SegmentsPerSecond": 3}'
        ),
    ]
    assert results[0] == "EnableSmsNotifications = true"
    assert results[1].startswith("SmsGatewayAuthentication = ")
    output = shell.output_of("config", "show")
    assert "EnableSmsNotifications = true" in output
    assert 'SmsGatewaySettings = {"FromNumber": "+12025550100", "SegmentsPerSecond": 3}' in output
    one = json.loads(shell.output_of("config", "show", "SmsGatewayAuthentication"))
    assert one == {"AccountSid": servers.LIVE_CREDENTIALS["AccountSid"], "AuthToken": "••••oken"}
    assert servers.LIVE_CREDENTIALS["AuthToken"] not in "".join([*results, output])


def test_secret_is_encrypted_in_the_database(shell: PortalShell) -> None:
    shell.output_of("config", "set", "SmsGatewayAuthentication", json.dumps(servers.LIVE_CREDENTIALS))
    files = [path for path in shell.instance.rglob("*") if path.is_file()]
    assert not any(servers.LIVE_CREDENTIALS["AuthToken"].encode() in path.read_bytes() for path in files)
    other = base64.b64encode(b"o" * 32).decode()
    assert shell.error_of("config", "show", PORTAL_ENCRYPTION_KEY=other) == (
        "SmsGatewayAuthentication was encrypted with a key that is not in PORTAL_ENCRYPTION_KEY."
    )
    own = (shell.instance / "encryption_key").read_text()
    assert "oken" in shell.output_of(
        "config", "show", "SmsGatewayAuthentication", PORTAL_ENCRYPTION_KEY=f"{other},{own}"
    )


def test_generated_key_file_is_private(shell: PortalShell) -> None:
    modes = {name: (shell.instance / name).stat().st_mode & 0o777 for name in ("secret_key", "encryption_key")}
    assert modes == {"secret_key": 0o600, "encryption_key": 0o600}


def test_invalid_value_is_refused_and_the_old_one_kept(shell: PortalShell) -> None:
    good = '{"FromNumber": "+12025550100"}'
    shell.output_of("config", "set", "SmsGatewaySettings", good)
    cases = [
        (
            ("set", "SmsGatewaySettings", '{"FromNumber": '),
            "SmsGatewaySettings is not valid JSON (line 1, column 15): a value is missing",
        ),
        (("set", "SmsGatewaySettings", '{"Number": "+1"}'), 'SmsGatewaySettings: there is no key "Number"'),
        (("set", "SmsGatewaySettings", '{"FromNumber": "12"}'), 'SmsGatewaySettings: "FromNumber" must be in E.164'),
        (("set", "SmsGatewayAuthentication", '{"AuthToken": "the-secret"'), "SmsGatewayAuthentication is not valid"),
        (("set", "SmsGatewayType", "Vonage"), "SmsGatewayType must be Twilio"),
        (("set", "EnableSmsNotifications", "on"), "EnableSmsNotifications must be true or false, not 'on'."),
        (("set", "SmsOverrideNumber", "555 0100"), "SmsOverrideNumber must start with a plus"),
        (("set", "SmsTimeout", "1"), "There is no setting 'SmsTimeout'. The settings are: EnableSmsNotifications, "),
        (("show", "SmsTimeout"), "There is no setting 'SmsTimeout'. The settings are: EnableSmsNotifications, "),
    ]
    results = shell.run_all([("config", *arguments) for arguments, _ in cases])
    for result, (arguments, output) in zip(results, cases, strict=True):
        assert only_error_line(result).startswith(output), arguments
        assert "the-secret" not in result.stderr
    assert shell.output_of("config", "show", "SmsGatewaySettings") == good
    assert shell.select_rows("SELECT name FROM app_setting") == [("SmsGatewaySettings",)]


def test_derived_number_type_is_shown_with_the_setting(shell: PortalShell) -> None:
    notes = "  NumberType: Toll-free number, inferred from the number\n  SegmentsPerSecond: 3, by the type of number\n"
    toll_free = '{"FromNumber": "+18665550100"}'
    set_so, output = shell.run_all(
        [("config", "set", "SmsGatewaySettings", toll_free), ("config", "show", "SmsGatewaySettings")]
    )
    assert (set_so.stderr, output.stderr, output.stdout.strip()) == (notes, notes, toll_free)


def test_unencrypted_secret_in_the_table_is_refused_in_one_line(shell: PortalShell) -> None:
    shell.select_rows("INSERT INTO app_setting VALUES ('SmsGatewayAuthentication', '{}', 0, NULL, NULL)")
    assert "SmsGatewayAuthentication" in shell.error_of("config", "show")


def test_switch_with_a_duration_shows_when_it_expires(shell: PortalShell) -> None:
    assert (
        shell.output_of("config", "set", "EnableSmsTestMode", "true", "--duration", "90m") == "EnableSmsTestMode = true"
    )
    assert re.search(
        r"^EnableSmsTestMode = true until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$", shell.output_of("config", "show"), re.M
    )
    assert shell.output_of("config", "show", "EnableSmsTestMode") == "true"
    shell.select_rows("UPDATE app_setting SET expires_at_ms = 1")
    assert shell.output_of("config", "show", "EnableSmsTestMode") == "false"
    assert "\tExpired automatically\tEnableSmsTestMode\ttrue -> false" in shell.output_of("config", "history")


@pytest.mark.parametrize("duration", ["", "90", "m", "-1h", "1w", "1.5h", "0h", "999999d", "９h"])
def test_invalid_duration_is_refused(shell: PortalShell, duration: str) -> None:
    shell.error_of("config", "set", "EnableSmsTestMode", "true", "--duration", duration)
    assert shell.select_rows("SELECT name FROM app_setting") == []


def test_only_override_and_test_mode_take_a_duration(shell: PortalShell) -> None:
    for name, value in (("EnableSmsNotifications", "true"), ("SmsOverrideNumber", "+12025550142")):
        assert "cannot turn itself off" in shell.error_of("config", "set", name, value, "--duration", "1h")
    assert "cannot have an end" in shell.error_of("config", "set", "EnableSmsTestMode", "false", "--duration", "1h")


def test_history_lists_changes_without_secrets(shell: PortalShell) -> None:
    shell.output_of("config", "set", "SmsOverrideNumber", "+12025550100")
    shell.output_of("config", "set", "SmsOverrideNumber", "+12025550142")
    shell.output_of("config", "set", "SmsGatewayAuthentication", json.dumps(servers.LIVE_CREDENTIALS))
    lines = [line.split("\t")[1:] for line in shell.output_of("config", "history").splitlines()]
    assert lines[1:] == [
        ["Command line", "SmsOverrideNumber", "+12025550100 -> +12025550142"],
        ["Command line", "SmsOverrideNumber", "not set -> +12025550100"],
    ]
    assert '"AuthToken": "changed"' in lines[0][2]
    assert shell.output_of("config", "history", "SmsOverrideNumber", "--limit", "1").count("\n") == 0
    assert "There is no setting 'X'" in shell.error_of("config", "history", "X")


def test_going_live_is_announced_without_a_question(shell: PortalShell) -> None:
    shell.output_of("config", "set", "SmsGatewayAuthentication", json.dumps(servers.LIVE_CREDENTIALS))
    shell.output_of("config", "set", "SmsGatewaySettings", '{"FromNumber": "+12025550100"}')
    live = shell.run("config", "set", "EnableSmsNotifications", "true")
    assert (live.returncode, live.stdout) == (0, "EnableSmsNotifications = true\n")
    assert live.stderr == "Texts reach people's phones from now on.\n"
    simulated = {"PORTAL_TWILIO_API_URL": "http://127.0.0.1:9"}
    shell.run("config", "set", "EnableSmsNotifications", "false")
    assert shell.run("config", "set", "EnableSmsNotifications", "true", **simulated).stderr == ""


@pytest.mark.parametrize(
    "name", ["EnableSmsNotifications", "SmsGatewayType", "SmsOverrideNumber", "SmsGatewaySettings"]
)
def test_invalid_input_gets_one_line_each(shell: PortalShell, name: str) -> None:
    for typed in INVALID_VALUES[name][::6]:
        with contextlib.suppress(UnicodeEncodeError):
            assert shell.error_of("config", "set", name, "-", stdin_text=typed).startswith(name), typed
    assert shell.select_rows("SELECT name FROM app_setting") == []
