import json
import sqlite3
import time

import pytest

from tests.support.portal_shell import PortalShell, only_error_line

DATA = ("--data", "fee=5 USD", "--data", "due_date=May 3")


def test_create_prints_only_the_send_id(shell: PortalShell) -> None:
    shell.import_accounts("P-1", "P-2")
    shell.add_template("due", "Dear {{ name }}, pay {{ data.fee }}.")
    ids = shell.write_file("ids.txt", "\ufeffP-1\r\n\r\n P-2 \nP-1\n")
    commands = [
        ("sends", "create", "due", "--all", "--data", "fee=a=b"),
        ("sends", "create", "due", "--account-type", "Practitioner", "--data", "fee=5"),
        ("sends", "create", "due", "--external-ids", ids, "--data", "fee=5"),
        ("sends", "create", "due", "--all", "--include-staff", "--data", "fee=5"),
        ("sends", "create", "due", "--saved-audience", "THE first", "--data", "fee=5"),
    ]
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        connection.execute(
            "INSERT INTO saved_audience (name, name_folded, definition, version, created_at_ms, changed_at_ms)"
            """ VALUES ('The first', 'the first', '{"external_ids": ["P-1"]}', 1, 1, 1)"""
        )
    results = [shell.run(*arguments) for arguments in commands]
    assert [(result.returncode, result.stdout, result.stderr) for result in results] == [
        (0, "1\n", ""),
        (0, "2\n", ""),
        (0, "3\n", ""),
        (0, "4\n", ""),
        (0, "5\n", ""),
    ]
    stored = [
        (json.loads(audience), json.loads(data))
        for audience, data in shell.select_rows("SELECT audience, data FROM send")
    ]
    assert stored == [
        ({"all": True, "staff": False}, {"fee": "a=b"}),
        ({"account_type": "Practitioner", "staff": False}, {"fee": "5"}),
        ({"external_ids": ["P-1", "P-2"]}, {"fee": "5"}),
        ({"all": True}, {"fee": "5"}),
        ({"external_ids": ["P-1"]}, {"fee": "5"}),
    ]


def test_show_prints_text_or_json(seeded_shell: PortalShell) -> None:
    send_id = seeded_shell.output_of("sends", "create", "fee", "--all", *DATA)
    report = json.loads(seeded_shell.output_of("sends", "show", send_id, "--json"))
    assert report["id"] == int(send_id)
    assert report["state"] == "queued"
    assert report["counts"] == report["groups"] == {"email": {}, "sms": {}}
    assert report["paused"] is False
    assert report["forecast"] == {
        "last_text_at_ms": None,
        "block_reason": None,
        "texts": 0,
        "segments": 0,
        "segments_per_second": None,
        "is_late": False,
        "deferred": 0,
        "sms_expires_at_ms": None,
        "expired": 0,
    }
    assert report["created_at_ms"] > 1_700_000_000_000
    assert report["finished_at_ms"] is None
    assert seeded_shell.output_of("sends", "show", send_id).splitlines() == [
        f"Send {send_id}: queued, 0 recipients",
        "Emails: none",
        "Texts: none",
    ]


def test_wait_ends_with_the_send_or_at_the_timeout(seeded_shell: PortalShell) -> None:
    send_id = seeded_shell.output_of("sends", "create", "fee", "--all", *DATA)
    late = seeded_shell.error_of("sends", "wait", send_id, "--timeout", "0.1")
    assert late == f"Send {send_id} is not done after 0.1 seconds: it is queued."
    with sqlite3.connect(seeded_shell.instance / "portal.sqlite") as connection:
        connection.execute("UPDATE send SET state = 'done', recipients = 3 WHERE id = ?", [send_id])
    assert seeded_shell.output_of("sends", "wait", send_id).startswith(f"Send {send_id}: done, 3 recipients")


def test_invalid_send_is_refused_with_the_reason(seeded_shell: PortalShell) -> None:
    ids, empty = seeded_shell.write_file("ids.txt", "P-1\nP-8\nP-9\n"), seeded_shell.write_file("empty.txt", " \n")
    many = seeded_shell.write_file("many.txt", "\n".join(f"X-{place}" for place in range(7)))
    latin, missing = seeded_shell.write_file("latin.txt", b"Zo\x81"), str(seeded_shell.instance / "no.txt")
    create, one_of = (
        ("sends", "create", "fee"),
        "Choose one of --all, --account-type T, --external-ids FILE or --saved-audience NAME.",
    )
    cases = [
        (("sends", "create", "nope", "--all"), "There is no template with the key “nope”."),
        ((*create, *DATA), one_of),
        ((*create, "--all", "--account-type", "T", *DATA), one_of),
        ((*create, "--all", "--external-ids", ids, *DATA), one_of),
        ((*create, "--all"), "The template needs a value for “fee”. The template needs a value for “due date”."),
        ((*create, "--all", "--data", "fee=5", "--data", "due_date= "), "The template needs a value for “due date”."),
        ((*create, "--all", "--data", "fee"), "Write --data as NAME=VALUE, not 'fee'."),
        (
            (*create, "--account-type", "Provider", *DATA),
            "No account has the type “Provider”. The types are: Practitioner.",
        ),
        ((*create, "--external-ids", ids, *DATA), "These account numbers do not exist: P-8, P-9. Nothing was sent."),
        (
            (*create, "--saved-audience", "North", *DATA),
            "There is no saved audience “North”. They are listed at /Admin/Audiences.",
        ),
        (
            (*create, "--external-ids", many, *DATA),
            "These account numbers do not exist: X-0, X-1, X-2, X-3, X-4 and 2 more. Nothing was sent.",
        ),
        ((*create, "--external-ids", empty, *DATA), "Enter at least one account number."),
        ((*create, "--external-ids", latin, *DATA), "Row 1 is not UTF-8. Save the file as “CSV UTF-8”."),
        ((*create, "--external-ids", missing, *DATA), f"{missing} cannot be read: No such file or directory."),
        (("sends", "show", "999999"), "There is no send 999999."),
        (("sends", "show", "999999", "--json"), "There is no send 999999."),
        (("sends", "wait", "999999"), "There is no send 999999."),
    ]
    before = seeded_shell.select_rows("SELECT count(*) FROM send")
    results = seeded_shell.run_all([arguments for arguments, _ in cases])
    assert [only_error_line(result) for result in results] == [output for _, output in cases]
    assert seeded_shell.select_rows("SELECT count(*) FROM send") == before


def test_send_without_accounts_is_refused(shell: PortalShell) -> None:
    shell.add_template("due")
    assert shell.error_of("sends", "create", "due", "--all") == "There are no accounts to send to yet."


def test_invalid_send_id_is_refused(seeded_shell: PortalShell) -> None:
    result = seeded_shell.run("sends", "show", "first")
    assert result.returncode == 2
    assert "'first' is not a valid integer" in result.stderr.splitlines()[-1]


def test_create_prints_only_the_send_id_while_the_queue_is_down(seeded_shell: PortalShell) -> None:
    away = f"unix://{seeded_shell.instance / 'away.sock'}"
    assert seeded_shell.output_of("sends", "create", "fee", "--all", *DATA, PORTAL_REDIS_URL=away).isdigit()


def test_data_that_the_template_cannot_use_is_refused(shell: PortalShell) -> None:
    shell.import_accounts("P-1")
    shell.add_template("loop", "{% for i in (1..data.times) %}again {% endfor %}")
    refused = shell.error_of("sends", "create", "loop", "--all", "--data", "times=100000")
    assert "does too much" in refused


def test_unreadable_filter_value_names_account_and_field(
    shell: PortalShell,
) -> None:
    shell.import_accounts("P-1", "P-2")
    shell.add_template(
        "due", '{% if external_id == "P-2" %}{{ data.when | date: "%Y" }}{% endif %}{{ data.fee | default: "-" }}'
    )
    create = ("sends", "create", "due", "--all")
    refused = shell.error_of(*create, "--data", "when=05/06/2027")
    assert refused.startswith("For Person P-2, P-2: “05/06/2027”, given for data.when, is not a complete date.")
    assert shell.error_of(*create, "--data", "wen=2027-05-28").startswith("The template has no field “wen”.")
    assert shell.output_of(*create, "--data", "when=2027-05-28") == "1"


def test_pause_resume_and_cancel_are_recorded_in_the_audit_log(seeded_shell: PortalShell) -> None:
    send_id = seeded_shell.output_of("sends", "create", "fee", "--all", *DATA)
    assert seeded_shell.output_of("sends", "pause", send_id) == f"Send {send_id} is paused."
    assert seeded_shell.output_of("sends", "show", send_id).startswith(f"Send {send_id}: paused, 0 recipients")
    assert json.loads(seeded_shell.output_of("sends", "show", send_id, "--json"))["paused"] is True
    assert seeded_shell.output_of("sends", "resume", send_id) == f"Send {send_id} is resumed."
    canceled = f"Send {send_id} is canceled. Messages that had left are not affected."
    assert seeded_shell.output_of("sends", "cancel", send_id) == canceled
    lines = seeded_shell.select_rows(
        f"SELECT action, actor_id FROM audit_entry WHERE subject = 'send {send_id}' ORDER BY id"
    )
    assert lines == [("send_created", None), ("send_paused", None), ("send_resumed", None), ("send_canceled", None)]
    assert seeded_shell.error_of("sends", "wait", send_id) == f"Send {send_id} was canceled."


def test_finished_or_unknown_send_cannot_be_controlled(seeded_shell: PortalShell) -> None:
    send_id = seeded_shell.output_of("sends", "create", "fee", "--all", *DATA)
    seeded_shell.output_of("sends", "cancel", send_id)
    for verb in ("pause", "resume", "cancel"):
        ended = seeded_shell.error_of("sends", verb, send_id)
        assert ended == "This send has already ended: none of its messages are waiting."
        assert seeded_shell.error_of("sends", verb, "9999") == "There is no send 9999."
        assert "is not a valid integer" in seeded_shell.run("sends", verb, "x").stderr


def test_show_forecasts_the_last_text_or_says_what_blocks_it(shell: PortalShell) -> None:
    people = ["external_id,name,email,account_type,role,timezone,phone,sms_opted_in_at,sms_consent_source"]
    people += [f"P-{n},Person {n},p{n}@example.org,T,user,UTC,+1415200000{n},2026-01-02,form" for n in range(5)]
    shell.output_of("accounts", "import", shell.write_file("people.csv", "\n".join(people)))
    credentials = json.dumps({"AccountSid": "AC" + "0" * 32, "AuthToken": "token-of-a-test"})
    sender = json.dumps({"FromNumber": "+12025550100", "SegmentsPerSecond": 0.25})
    for name, value in {
        "SmsGatewayAuthentication": credentials,
        "SmsGatewaySettings": sender,
        "EnableSmsNotifications": "true",
    }.items():
        result = shell.run("config", "set", name, value)
        assert result.returncode == 0, result.stderr
    shell.add_template("due", "Dear {{ name }}.", "--sms")
    send_id = shell.output_of("sends", "create", "due", "--all")
    assert shell.output_of("sends", "show", send_id).splitlines()[-1] == "No worker for texts is running."
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        connection.execute("INSERT INTO heartbeat (name, kind, at_ms) VALUES ('w', 'worker:sms', 9999999999999)")
    forecast = json.loads(shell.output_of("sends", "show", send_id, "--json"))["forecast"]
    assert (forecast["texts"], forecast["segments_per_second"]) == (5, 0.25)
    assert forecast["last_text_at_ms"] - time.time() * 1000 == pytest.approx(16_000, abs=3_000)
    assert shell.output_of("sends", "show", send_id).splitlines()[-1].startswith("The last text leaves at about 20")
