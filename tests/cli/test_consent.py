"""`portal consent`: verify the chain, import opt-outs, export evidence."""

import csv
import io
import json
import sqlite3

import pytest

from tests.support import servers
from tests.support.portal_shell import CLI_ACCOUNT_CSV_HEADER, PortalShell

NUMBER, OTHER = "+14152000001", "+14152000002"


def stop_number(shell: PortalShell) -> list[str]:
    return [
        row[0]
        for row in shell.select_rows("SELECT number FROM phone_state WHERE stopped_at_ms IS NOT NULL ORDER BY number")
    ]


def import_opt_outs(shell: PortalShell, *numbers: str) -> str:
    return shell.output_of("consent", "import-opt-outs", shell.write_file("stops.csv", "\n".join(numbers)))


def tamper(shell: PortalShell, *statements: str) -> None:
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        for name in ("no_update", "no_delete", "no_replace"):
            connection.execute(f"DROP TRIGGER consent_event_{name}")
        for statement in statements:
            connection.execute(statement)


def test_empty_ledger_is_valid(shell: PortalShell) -> None:
    assert shell.output_of("consent", "verify") == f"0 events, unbroken. Last digest {'0' * 64}"


def test_number_is_opted_out_while_texts_are_off(shell: PortalShell) -> None:
    shell.output_of("config", "set", "EnableSmsNotifications", "false")
    command = ("consent", "opt-out", "(415) 200-0001", "--how", "phone", "--reason", "Rang us")
    assert shell.output_of(*command) == f"{NUMBER} is opted out. Only START from that phone turns texts on again."
    assert stop_number(shell) == [NUMBER]
    (event,) = csv.DictReader(io.StringIO(shell.output_of("consent", "export").removeprefix("\ufeff")))
    assert (event["kind"], event["text"], event["actor"]) == ("stop", "Rang us", "Command line")
    assert "How the person asked: phone call." in event["notes"]


def test_opt_out_command_names_the_accounts_and_what_ends(shell: PortalShell) -> None:
    rows = f"P-1,Kim Lee,k@example.org,Practitioner,user,UTC,{NUMBER},2026-01-02,form\n"
    shell.output_of("accounts", "import", shell.write_file("people.csv", f"{CLI_ACCOUNT_CSV_HEADER}\n{rows}"))
    output = shell.run("consent", "opt-out", NUMBER, "--how", "phone", "--reason", "Rang us").stderr
    assert "Kim Lee, P-1, gets texts there now. They end, including those waiting to be sent." in output
    output = shell.run("consent", "opt-out", "+14152000002", "--how", "phone", "--reason", "Rang us").stderr
    assert "No account has this number." in output


@pytest.mark.parametrize(("answer", "code", "out"), [("y", 0, [NUMBER]), ("n", 1, [])])
def test_opt_out_is_confirmed_on_a_terminal(shell: PortalShell, answer: str, code: int, out: list[str]) -> None:
    arguments = ("consent", "opt-out", NUMBER, "--how", "phone", "--reason", "Rang us")
    ended, output = shell.run_in_terminal(f"{answer}\n", *arguments)
    assert f"Opt out {NUMBER}? This cannot be undone [y/N]" in output
    assert ended == code
    assert stop_number(shell) == out


def configure_gateway(shell: PortalShell) -> None:
    shell.output_of("config", "set", "SmsGatewayAuthentication", json.dumps(servers.LIVE_CREDENTIALS))
    shell.output_of("config", "set", "SmsGatewaySettings", json.dumps({"FromNumber": servers.FROM_NUMBER}))
    shell.output_of("config", "set", "EnableSmsNotifications", "true")
    rows = f"P-1,Kim Lee,k@example.org,Practitioner,user,UTC,{NUMBER},,\n"
    shell.output_of("accounts", "import", shell.write_file("people.csv", f"{CLI_ACCOUNT_CSV_HEADER}\n{rows}"))


def test_invite_command_records_a_request_when_stopped(shell: PortalShell) -> None:
    configure_gateway(shell)
    assert "Add --yes" in shell.run("consent", "invite", "P-1", NUMBER).stderr
    assert "is on its way" in shell.output_of("consent", "invite", "P-1", "(415) 200-0001", "--yes")
    import_opt_outs(shell, NUMBER)
    output = shell.output_of("consent", "invite", "P-1", NUMBER, "--yes")
    assert "text START from that phone to (202) 555-0100. The request is kept" in output
    rows = list(csv.DictReader(io.StringIO(shell.output_of("consent", "export"))))
    assert [row["kind"] for row in rows] == ["invited", "stop", "requested"]
    assert (rows[2]["actor"], rows[2]["account_number"]) == ("Command line", "P-1")
    assert rows[2]["text"] == rows[0]["text"] != ""
    assert (rows[2]["wording"], rows[2]["wording_version"]) == (rows[0]["wording"], "0")


def test_invite_command_names_the_displaced_account(shell: PortalShell) -> None:
    configure_gateway(shell)
    assert "START moves" not in shell.run("consent", "invite", "P-1", NUMBER, "--yes").stderr
    row = f"P-2,Ann Oh,a@example.org,Practitioner,user,UTC,{OTHER},2026-01-02,form\n"
    rows = f"{row}P-3,Bo Li,b@example.org,Practitioner,user,UTC,{OTHER},,\n"
    shell.output_of("accounts", "import", shell.write_file("more.csv", f"{CLI_ACCOUNT_CSV_HEADER}\n{rows}"))
    output = shell.run("consent", "invite", "P-3", OTHER, "--yes").stderr
    assert "START moves the texts from Ann Oh, P-2, who then gets notifications by email only." in output


@pytest.mark.parametrize(
    ("account", "number", "message"),
    [
        ("P-9", NUMBER, "There is no account with the number 'P-9'."),
        ("P-1", "+14152000009", "+14152000009 is not on account P-1. Add it there first."),
        ("P-1", "12", "not a valid US number"),
    ],
)
def test_impossible_invite_command_is_refused(shell: PortalShell, account: str, number: str, message: str) -> None:
    shell.import_accounts("P-1")
    assert message in shell.error_of("consent", "invite", account, number, "--yes")


@pytest.mark.parametrize(
    ("number", "reason", "output"), [("12", "Rang", "not a valid US number"), (NUMBER, " ", "Write down")]
)
def test_invalid_opt_out_is_refused(shell: PortalShell, number: str, reason: str, output: str) -> None:
    assert output in shell.error_of("consent", "opt-out", number, "--how", "email", "--reason", reason)
    assert stop_number(shell) == []


def test_unlisted_number_in_full_notation_is_opted_out(shell: PortalShell) -> None:
    command = ("--how", "email", "--reason", "Wrote on 3 March")
    assert shell.error_of("consent", "opt-out", "(436) 234-5678", *command).endswith("write it in full: +14362345678")
    result = shell.run("consent", "opt-out", "\u202a+1436\u200b2345678\u202c", *command)
    assert (result.returncode, result.stdout.partition(" ")[0]) == (0, "+14362345678")
    assert result.stderr.startswith("Warning: +1 436-234-5678 is not in a known range")
    assert stop_number(shell) == ["+14362345678"]


def test_opt_out_file_is_imported_and_chain_stays_valid(shell: PortalShell) -> None:
    assert (
        import_opt_outs(shell, NUMBER, "(415) 200-0002", NUMBER)
        == "2 numbers were opted out. 1 appeared more than once."
    )
    assert stop_number(shell) == [NUMBER, "+14152000002"]
    assert shell.output_of("consent", "verify").startswith("2 events, unbroken. Last digest ")
    assert import_opt_outs(shell, NUMBER) == "0 numbers were opted out. 1 was already opted out."


def test_opt_outs_are_read_from_stdin(shell: PortalShell) -> None:
    output = shell.output_of(
        "consent", "import-opt-outs", "-", stdin_text=f"phone,stopped_at,reason\n{NUMBER},2026-01-02,by letter\n"
    )
    assert output == "1 number was opted out."
    assert shell.select_rows("SELECT text, source, actor_id FROM consent_event") == [("by letter", "import", None)]


def test_one_row_error_rejects_the_whole_file(shell: PortalShell) -> None:
    result = shell.run("consent", "import-opt-outs", shell.write_file("stops.txt", f"{NUMBER}\n555\n"))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.splitlines() == [
        "Row 2, phone: This is not a valid US number: check the digits, or start with + and the country code.",
        "Nothing was imported: 1 mistake found.",
    ]
    assert stop_number(shell) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The file is empty."),
        (b"\xff\xfe1", "The file starts as UTF-16 but is damaged further on. Save it as “CSV UTF-8”."),
        (
            b"phone,colour",
            "The columns in row 1 are wrong (unknown: colour). Allowed columns: phone,stopped_at,reason.",
        ),
    ],
)
def test_unreadable_file_is_refused(shell: PortalShell, content: bytes, message: str) -> None:
    assert shell.error_of("consent", "import-opt-outs", shell.write_file("stops.csv", content)) == message


def test_missing_file_is_refused(shell: PortalShell) -> None:
    assert "cannot be read: No such file or directory." in shell.error_of("consent", "import-opt-outs", "/nowhere.csv")


def test_earlier_digest_is_found_in_the_chain(shell: PortalShell) -> None:
    import_opt_outs(shell, NUMBER)
    noted = shell.output_of("consent", "verify").rpartition(" ")[2]
    import_opt_outs(shell, "+14152000002")
    lines = shell.output_of("consent", "verify", "--head", noted).splitlines()
    assert lines[0].startswith("2 events, unbroken.")
    assert lines[1] == "The digest you noted is that of event 1."


def test_unknown_digest_is_refused(shell: PortalShell) -> None:
    import_opt_outs(shell, NUMBER)
    assert shell.error_of("consent", "verify", "--head", "f" * 64) == (
        "The ledger is unbroken, but does not contain your digest: it was rewritten or truncated since then."
    )


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("UPDATE consent_event SET kind = 'start' WHERE id = 2", "Event 2 does not fit: it was changed after it"),
        ("DELETE FROM consent_event WHERE id = 2", "Event 3 does not fit: an event after 1 is missing"),
        ("DELETE FROM consent_event WHERE id = 3", "Event 2 does not fit: the events after it are missing"),
    ],
)
def test_tampered_ledger_names_the_event(shell: PortalShell, statement: str, message: str) -> None:
    import_opt_outs(shell, NUMBER, "+14152000002", "+14152000003")
    tamper(shell, statement)
    assert shell.error_of("consent", "verify").startswith(message)


def test_export_of_a_number_is_written_to_stdout(shell: PortalShell) -> None:
    import_opt_outs(shell, NUMBER, "+14152000002")
    exported = shell.output_of("consent", "export", "--number", NUMBER)
    assert exported.startswith('\ufeff"event","number",')
    rows = list(csv.DictReader(io.StringIO(exported.removeprefix("\ufeff"))))
    assert [(row["number"], row["description"]) for row in rows] == [(NUMBER, "Opted out, from a file")]
    as_json = json.loads(shell.output_of("consent", "export", "--format", "json"))
    assert [one["event"]["number"] for one in as_json["events"]] == [NUMBER, "+14152000002"]
    assert as_json["subject"] == "the whole ledger"


def test_export_of_an_account_or_a_period(shell: PortalShell) -> None:
    shell.import_accounts("P-1")
    lines = f"phone,stopped_at\n{NUMBER},2026-03-01\n+14152000002,2026-03-02T00:00:00Z\n"
    shell.output_of("consent", "import-opt-outs", "-", stdin_text=lines)
    march_1 = shell.output_of("consent", "export", "--from", "2026-03-01", "--to", "2026-03-01").splitlines()
    assert len(march_1) == 2
    assert NUMBER in march_1[1]
    assert len(shell.output_of("consent", "export", "--account", "P-1").splitlines()) == 1


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("--number", "4152000001", "Write the number with + and its country code, not '4152000001'."),
        ("--account", "P-9", "There is no account with the number 'P-9'."),
        ("--from", "yesterday", "Write the day like 2026-03-01, not 'yesterday'."),
        ("--to", "2026-02-30", "Write the day like 2026-03-01, not '2026-02-30'."),
    ],
)
def test_export_with_invalid_options_is_refused(shell: PortalShell, option: str, value: str, message: str) -> None:
    assert shell.error_of("consent", "export", option, value) == message


def test_export_is_logged_on_stderr_without_the_number(shell: PortalShell) -> None:
    import_opt_outs(shell, NUMBER)
    noted = shell.run("consent", "export", "--number", NUMBER).stderr
    assert "consent exported" in noted
    assert "4152000001" not in noted
