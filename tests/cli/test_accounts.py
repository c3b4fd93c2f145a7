import pytest

from portal.accounts.rules import password_strength
from tests.support.commands.command_runner import CommandResult
from tests.support.portal_shell import CLI_ACCOUNT_CSV_HEADER, PortalShell, only_error_line

REQUIRED_HEADER = "external_id,name,email,account_type"


def error_lines(result: CommandResult) -> list[str]:
    """The errors of a refused import: one line for each row error, then one sentence."""
    assert result.returncode == 1
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr.strip().splitlines()


def test_create_prints_the_account_number(shell: PortalShell) -> None:
    given = shell.output_of("accounts", "create", "--email", "a@example.org", "--external-id", "S-1", "--role", "admin")
    made_up = shell.output_of("accounts", "create", "--email", "kim@example.org", "--password", "maple lantern river")
    assert given == "S-1"
    assert made_up.startswith("A-")
    assert shell.select_rows("SELECT external_id, name, role, timezone, password IS NULL FROM account ORDER BY id") == [
        ("S-1", "a", "admin", "UTC", 1),
        (made_up, "kim", "user", "UTC", 0),
    ]
    stored = shell.select_rows("SELECT password FROM account WHERE password IS NOT NULL")[0][0]
    assert "long enough" not in stored


def test_language_is_set_at_creation_and_later(shell: PortalShell) -> None:
    shell.output_of("accounts", "create", "--email", "a@example.org", "--external-id", "S-1", "--language", "es")
    assert shell.output_of("accounts", "set-language", "S-1", "") == "S-1 reads English"
    assert shell.output_of("accounts", "set-language", "s-1", "es") == "s-1 reads Español"
    assert shell.select_rows("SELECT language FROM account") == [("es",)]
    assert "'xx' is not one of" in shell.run("accounts", "set-language", "S-1", "xx").stderr


REFUSED = {
    "This is not an email address, such as name@example.org.": ("--email", "kim"),
    "Account number P-1 is already in use.": ("--email", "a@example.org", "--external-id", "P-1"),
    "There is no such time zone. Use a name such as America/New_York.": (
        "--email",
        "a@example.org",
        "--timezone",
        "EST9",
    ),
    "The password must have 12 to 128 characters.": ("--email", "a@example.org", "--password", "short"),
    password_strength._TOO_GUESSABLE: ("--email", "a@example.org", "--password", "P@ssw0rd1234"),
    password_strength._TOO_PERSONAL: ("--email", "kim@example.org", "--password", "KIM@example.org!"),
    "Enter an account type, such as Practitioner.": ("--email", "a@example.org", "--type", " "),
    "Enter a name.": ("--email", "a@example.org", "--name", " "),
}


def test_invalid_account_is_refused_with_the_rule(seeded_shell: PortalShell) -> None:
    before = seeded_shell.select_rows("SELECT count(*) FROM account")
    results = seeded_shell.run_all([("accounts", "create", *arguments) for arguments in REFUSED.values()])
    assert [only_error_line(result) for result in results] == list(REFUSED)
    assert seeded_shell.select_rows("SELECT count(*) FROM account") == before


def test_unknown_role_is_refused_with_the_valid_roles(seeded_shell: PortalShell) -> None:
    result = seeded_shell.run("accounts", "create", "--email", "a@example.org", "--role", "boss")
    assert result.returncode == 2
    assert "'boss' is not one of 'user', 'admin', 'sysadmin'" in result.stderr.splitlines()[-1]


def test_import_creates_accounts_numbers_and_opt_ins(shell: PortalShell) -> None:
    lines = [
        CLI_ACCOUNT_CSV_HEADER,
        'P-1,"Rivera, Jordan",jordan@example.org,Practitioner,admin,America/New_York,(202) 555-0100,'
        "2026-03-01T14:30:00Z,form 12",
        "P-2,Zoë Ångström,zoe@example.org,Provider,,,202 555 0101,,",
        "P-3,Kim,kim@example.org,Provider,,,,,",
    ]
    assert (
        shell.output_of("accounts", "import", shell.write_file("p.csv", "\ufeff" + "\r\n".join(lines)))
        == "3 accounts imported."
    )
    assert shell.select_rows("SELECT external_id, name, role, timezone FROM account ORDER BY id") == [
        ("P-1", "Rivera, Jordan", "admin", "America/New_York"),
        ("P-2", "Zoë Ångström", "user", "America/New_York"),
        ("P-3", "Kim", "user", "UTC"),
    ]
    assert shell.select_rows("SELECT number, receives_sms, receives_sms_since_ms FROM phone_number ORDER BY id") == [
        ("+12025550100", 1, 1_772_375_400_000),
        ("+12025550101", 0, None),
    ]
    ((number, kind, source, text, occurred),) = shell.select_rows(
        "SELECT number, kind, source, text, occurred_at_ms FROM consent_event"
    )
    assert (number, kind, source, occurred) == ("+12025550100", "opt_in", "import", 1_772_375_400_000)
    assert "form 12" in text


def test_newest_opt_in_gets_the_texts_of_a_shared_number(shell: PortalShell) -> None:
    lines = [
        CLI_ACCOUNT_CSV_HEADER,
        "P-1,A,a@example.org,Provider,,,+12025550100,2026-01-01,web",
        "P-2,B,b@example.org,Provider,,,+12025550100,2026-02-01,web",
        "P-3,C,c@example.org,Provider,,,+12025550100,2025-02-01,web",
    ]
    shell.output_of("accounts", "import", shell.write_file("p.csv", "\n".join(lines)))
    assert shell.select_rows("SELECT receives_sms FROM phone_number ORDER BY account_id") == [(0,), (1,), (0,)]
    assert shell.select_rows("SELECT count(*) FROM consent_event") == [(3,)]


FILES: dict[str, tuple[str | bytes, list[str]]] = {
    "mistakes": (
        f"{CLI_ACCOUNT_CSV_HEADER}\nP-4,A,a@example.org,T,,,,,\nP-5,,nothing,T,boss,,12,,\nP-6,B,b@example.org,T,,,+12025550100,2026-01-01,\n",
        [
            "Row 3, phone: This is not a valid US number: check the digits, or start with + and the country code.",
            "Row 3, name: This cell is empty.",
            "Row 3, email: This is not an email address, such as name@example.org.",
            "Row 3, role: The role must be one of user, admin, sysadmin, not 'boss'.",
            "Row 4, sms_consent_source: An opt-in needs both a time and a source.",
            "Nothing was imported: 5 mistakes found.",
        ],
    ),
    "twice": (
        f"{REQUIRED_HEADER}\nP-4,A,a@example.org,T\nP-4,B,b@example.org,T\n",
        ["Row 3, external_id: P-4 is already in row 2.", "Nothing was imported: 1 mistake found."],
    ),
    "there already": (
        f"{REQUIRED_HEADER}\nP-4,A,a@example.org,T\nP-1,B,b@example.org,T\n",
        [
            "Row 3, external_id: Account number P-1 is already in use.",
            "Nothing was imported: 1 mistake found.",
        ],
    ),
    "too many cells": (
        f"{REQUIRED_HEADER}\nP-4,A,a@example.org,T,more\n",
        ["Row 2, whole row: There are 5 cells for 4 columns.", "Nothing was imported: 1 mistake found."],
    ),
    "header alone": (CLI_ACCOUNT_CSV_HEADER, ["The file has a header but no rows. Nothing was imported."]),
    "empty": ("", [f"The file is empty. Its first row must name the columns: {CLI_ACCOUNT_CSV_HEADER},language."]),
    "wrong header": (
        "id,name,email,account_type\nP-4,A,a@example.org,T\n",
        [
            "The columns in row 1 are wrong (missing: external_id; unknown: id). "
            f"The columns must be: {CLI_ACCOUNT_CSV_HEADER},language."
        ],
    ),
    "no encoding at all": (
        f"{REQUIRED_HEADER}\nP-4,Zo\x81,z@example.org,T\n".encode("latin-1"),
        ["Row 2 is not UTF-8. Save the file as “CSV UTF-8”."],
    ),
    "null bytes": (
        f"{REQUIRED_HEADER}\nP-4,Z\x00,z@example.org,T\n",
        ["The file contains binary data, so it is not a CSV. Save it as “CSV UTF-8”."],
    ),
    "broken quotes": (
        f'{REQUIRED_HEADER}\nP-4,"Zoe,z@example.org,T\n',
        ["Row 2 cannot be read as CSV. Check its quotation marks. (unexpected end of data)"],
    ),
}


def test_import_with_errors_imports_nothing(seeded_shell: PortalShell) -> None:
    before = seeded_shell.select_rows("SELECT external_id FROM account ORDER BY id")
    commands = [
        ("accounts", "import", seeded_shell.write_file(f"{name}.csv", content)) for name, (content, _) in FILES.items()
    ]
    results = dict(zip(FILES, seeded_shell.run_all(commands), strict=True))
    for name, (_, output) in FILES.items():
        assert [line for line in error_lines(results[name]) if line != "Importing"] == output, name
    assert seeded_shell.select_rows("SELECT external_id FROM account ORDER BY id") == before
    assert seeded_shell.select_rows("SELECT count(*) FROM phone_number") == [(0,)]


@pytest.mark.parametrize(
    ("rows", "encoding", "warned"),
    [
        ("sep=;\r\nexternal_id;name;email;account_type;;\r\nP-4;Zoë;z@example.org;T;;\r\n", "utf-8-sig", []),
        ("\r\nexternal_id\tname\temail\taccount_type\r\nP-4\tZoë\tz@example.org\tT\r\n", "utf-16", []),
        (
            f"{REQUIRED_HEADER}\nP-4,Zoë,z@example.org,T\n",
            "cp1252",
            ["Warning: The file is not UTF-8, so it was read as Windows"],
        ),
        (
            f"{REQUIRED_HEADER},phone\nP-4,Zoë,z@example.org,T,+1 436 234 5678\n",
            "utf-8",
            ["Warning: Row 2, phone: +1 436-234-5678 is not in a known range"],
        ),
    ],
)
def test_spreadsheet_file_is_imported_with_warnings(
    shell: PortalShell, rows: str, encoding: str, warned: list[str]
) -> None:
    result = shell.run("accounts", "import", shell.write_file("p.csv", rows.encode(encoding)))
    assert (result.returncode, result.stdout) == (0, "1 account imported.\n")
    output = result.stderr.splitlines()
    assert [line.startswith(start) for line, start in zip(output, warned, strict=True)] == [True] * len(warned)
    assert shell.select_rows("SELECT external_id, name FROM account") == [("P-4", "Zoë")]


def test_unreadable_file_is_refused_in_one_line(seeded_shell: PortalShell) -> None:
    missing, folder = seeded_shell.run_all(
        [
            ("accounts", "import", str(seeded_shell.instance / "no.csv")),
            ("accounts", "import", str(seeded_shell.instance)),
        ]
    )
    assert only_error_line(missing).endswith("no.csv cannot be read: No such file or directory.")
    assert only_error_line(folder).endswith("cannot be read: Is a directory.")


def test_invalid_file_is_refused_in_one_line(seeded_shell: PortalShell) -> None:
    assert seeded_shell.error_of("accounts", "import", seeded_shell.write_file("empty.csv", "")).startswith(
        "The file is empty."
    )


def test_one_imported_account_is_counted_in_the_singular(shell: PortalShell) -> None:
    assert shell.import_accounts("P-1") == "1 account imported."


def test_large_file_is_imported_completely_or_not_at_all(shell: PortalShell) -> None:
    lines = [
        f"P-{place},Person {place},p{place}@example.org,Practitioner,,,+1415200{place:04d},2026-01-01,form"
        for place in range(2100)
    ]
    last_is_wrong = shell.write_file(
        "wrong.csv", "\n".join([CLI_ACCOUNT_CSV_HEADER, *lines[:-1], lines[-1].replace("@", " at ")])
    )
    refused = error_lines(shell.run("accounts", "import", last_is_wrong))
    assert refused[-2].startswith("Row 2,101, email: ")
    assert refused[-1] == "Nothing was imported: 1 mistake found."
    assert shell.select_rows("SELECT count(*) FROM account") == [(0,)]

    good = shell.write_file("good.csv", "\n".join([CLI_ACCOUNT_CSV_HEADER, *lines]))
    assert shell.output_of("accounts", "import", good) == "2,100 accounts imported."
    assert shell.select_rows("SELECT count(*), sum(receives_sms) FROM phone_number") == [(2100, 2100)]
    assert shell.select_rows("SELECT count(*) FROM consent_event") == [(2100,)]

    again = error_lines(shell.run("accounts", "import", good))
    assert again[-1] == "Nothing was imported: 2,100 mistakes found."
    assert again[-2] == "… and 2,050 more."
    assert len(again) < 55


def test_account_is_deactivated_and_reactivated(shell: PortalShell) -> None:
    shell.import_accounts("P-1")
    assert shell.output_of("accounts", "deactivate", "P-1") == "P-1 is deactivated. Messages ended: 0."
    assert shell.error_of("accounts", "deactivate", "P-1") == "This account is not active already."
    assert shell.select_rows("SELECT active FROM account") == [(0,)]
    assert shell.output_of("accounts", "reactivate", "P-1") == "P-1 is active again."
    assert shell.error_of("accounts", "reactivate", "P-9") == "There is no account P-9."


def test_merge_asks_whose_values_are_kept(shell: PortalShell) -> None:
    shell.import_accounts("P-1", "P-2")
    shell.output_of("attributes", "add", "region", "--label", "Region")
    for account in ("P-1", "P-2"):
        shell.output_of("accounts", "set-attribute", account, "region", f"North of {account}")
    merge = ("accounts", "merge", "P-2", "--into", "P-1")
    refused = shell.run(*merge, "--yes")
    assert "Region: North of P-1 → North of P-2 (both have one: attribute:region)" in refused.stderr
    assert "Say whose is kept: --keep attribute:region=staying|leaving" in refused.stderr
    merged = shell.run(*merge, "--keep", "attribute:region=leaving")
    assert (merged.returncode, merged.stdout) == (0, "P-2 is merged into P-1.\n")
    assert shell.select_rows("SELECT value FROM attribute_value WHERE account_id = 1") == [("North of P-2",)]


def test_second_factor_that_does_not_exist_is_not_removed(shell: PortalShell) -> None:
    shell.output_of("accounts", "create", "--email", "a@example.org", "--external-id", "S-1", "--role", "sysadmin")
    assert "has no second factor" in shell.error_of("accounts", "reset-second-factor", "S-1")


def test_lost_second_factor_is_removed_at_the_shell(shell: PortalShell) -> None:
    shell.output_of("accounts", "create", "--email", "a@example.org", "--external-id", "S-1", "--role", "sysadmin")
    shell.select_rows("INSERT INTO totp_credential VALUES (1, 'x', 0, 0) RETURNING account_id")
    before = shell.select_rows("SELECT fs_uniquifier FROM account")
    assert "The second factor of S-1 is removed" in shell.output_of("accounts", "reset-second-factor", "S-1")
    assert shell.select_rows("SELECT count(*) FROM totp_credential") == [(0,)]
    assert shell.select_rows("SELECT fs_uniquifier FROM account") != before
    assert shell.select_rows("SELECT action FROM audit_entry") == [("second_factor_removed",), ("sessions_revoked",)]


def test_sessions_of_an_account_end_by_its_number(shell: PortalShell) -> None:
    shell.output_of("accounts", "create", "--email", "a@example.org", "--external-id", "P-1")
    identity = shell.select_rows("SELECT fs_uniquifier FROM account")
    ended = shell.output_of("accounts", "end-sessions", "P-1")
    assert ended == "P-1 is signed out everywhere. Sessions ended: 0."
    assert shell.select_rows("SELECT fs_uniquifier FROM account") != identity
    assert shell.select_rows("SELECT action FROM audit_entry") == [("sessions_revoked",)]


def test_identity_is_connected_and_disconnected(shell: PortalShell) -> None:
    shell.output_of("accounts", "create", "--email", "a@example.org", "--external-id", "S-1")
    assert only_error_line(shell.run("accounts", "connect-identity", "S-1", "24")) == (
        "There is no single sign-on: set PORTAL_OIDC_ISSUER."
    )
    variables = {"ISSUER": "https://login.example.org", "CLIENT_ID": "portal", "CLIENT_SECRET": "secret"}
    oidc = {f"PORTAL_OIDC_{name}": value for name, value in variables.items()}
    connected = shell.output_of("accounts", "connect-identity", "S-1", "24", **oidc)
    assert connected == "S-1 belongs to 24 at https://login.example.org."
    assert shell.output_of("accounts", "disconnect-identity", "S-1").startswith("S-1 is disconnected.")
    assert only_error_line(shell.run("accounts", "disconnect-identity", "S-1")) == "S-1 is connected with no identity."
