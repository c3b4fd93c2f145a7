import sqlite3

from tests.support.portal_shell import PortalShell, only_error_line


def arguments(
    seeded_shell: PortalShell, key: str = "due", subject: str = "Due", body: str | bytes = "Dear {{ name }}"
) -> tuple[str, ...]:
    written = seeded_shell.write_file(f"{abs(hash((key, subject, body)))}.md", body)
    return ("templates", "create", key, "--name", "Renewal", "--subject", subject, "--body-file", written)


def test_create_prints_the_template_key(shell: PortalShell) -> None:
    body = "# Renewal\r\n\r\nDear {{ first_name }}, pay {{ data.fee }}."
    assert (
        shell.add_template("renewal-due-60", body, "--sms", "--urgent", subject="Due, {{ name }}") == "renewal-due-60"
    )
    assert shell.select_rows("SELECT key, name, current_version FROM template") == [("renewal-due-60", "Renewal", 1)]
    assert shell.select_rows("SELECT number, subject, body, sms_enabled, urgent FROM template_version") == [
        (1, "Due, {{ name }}", body.replace("\r\n", "\n"), 1, 1)
    ]


def test_body_is_read_from_stdin(shell: PortalShell) -> None:
    options = ("--name", "Renewal", "--subject", "Due", "--body-file", "-")
    assert shell.output_of("templates", "create", "piped", *options, stdin_text="Dear {{ name }}, ça va?") == "piped"
    assert shell.select_rows("SELECT body, sms_enabled, urgent FROM template_version") == [
        ("Dear {{ name }}, ça va?", 0, 0)
    ]


def test_preview_shows_characters_replaced_in_the_text(shell: PortalShell) -> None:
    shell.add_template(
        "due", "Dear {{ name }},\n\n- [Pay](https://e.org)", "--sms", subject="It’s\u00ad – {{ data.fee }} ł"
    )
    lines = shell.output_of("templates", "preview", "due").splitlines()
    assert lines[:5] == ["It’s\u00ad – [fee] ł", "", "Dear Jordan Rivera,", "", "- Pay (https://e.org)"]
    assert lines[6].startswith("Text: Notification portal: It's - [fee] ł http")
    assert "GSM-7" not in lines[7]
    assert lines[8:] == [
        "Replaced in the text to save space: ’ → ', soft hyphen → nothing, – → -.",
        "Not in GSM-7, so a segment holds 70 units instead of 160: ł",
    ]
    assert shell.error_of("templates", "preview", "nope") == "There is no template with the key “nope”."
    assert "date" in shell.output_of("templates", "filters")


def test_check_lists_unusable_templates(shell: PortalShell) -> None:
    shell.add_template("due")
    assert shell.output_of("templates", "check") == ""
    with sqlite3.connect(shell.instance / "portal.sqlite") as connection:
        connection.execute("UPDATE template_version SET subject = '{{ name | escape }}'")
    result = shell.run("templates", "check")
    assert (result.returncode, result.stdout.partition(" here")[0]) == (1, "due: Line 1: there is no filter “escape”")


CASES: dict[str, dict[str, str | bytes]] = {
    "Another template already uses the key “fee”. Choose a different key.": {"key": "fee"},
    "Use lowercase letters, digits and single hyphens, and start with a letter, such as renewal-due-60.": {
        "key": "Fee 60"
    },
    "Enter a subject.": {"subject": "  "},
    "Enter a body.": {"body": "\n \n"},
    "Use 50,000 characters or fewer. You have used 50,001.": {"body": "x" * 50_001},
    "Use 250 characters or fewer. You have used 251.": {"subject": "x" * 251},
    "Line 1: the template does too much: a loop runs too long or produces too much text. Shorten it.": {
        "body": "{% for i in (1..1000000000) %}x{% endfor %}"
    },
    "Line 3: there is no merge field “exam_date”. Use one of name, first_name, email, external_id, account_type, or "
    "data.something for a custom field.": {"body": "Dear {{ name }},\n\n{{ exam_date }}"},
    "Line 1: there is no merge field “nme”. Use one of name, first_name, email, external_id, account_type, or "
    "data.something for a custom field.": {"subject": "Due, {{ nme }}"},
    "Line 2: there is no tag “{% include %}”. The tags are if, unless, case, for, assign and comment.": {
        "body": "a\n{% include 'x' %}"
    },
}


def test_invalid_template_is_refused_with_line_and_rule(seeded_shell: PortalShell) -> None:
    before = seeded_shell.select_rows("SELECT key FROM template")
    results = seeded_shell.run_all([arguments(seeded_shell, **case) for case in CASES.values()])  # type: ignore[arg-type]
    assert [only_error_line(result) for result in results] == list(CASES)
    assert seeded_shell.select_rows("SELECT key FROM template") == before


def test_unreadable_body_file_is_refused_in_one_line(seeded_shell: PortalShell) -> None:
    missing = (*arguments(seeded_shell)[:-1], str(seeded_shell.instance / "no.md"))
    absent, latin = seeded_shell.run_all([missing, arguments(seeded_shell, body="Zoë".encode("latin-1"))])
    assert only_error_line(absent).endswith("no.md cannot be read: No such file or directory.")
    assert only_error_line(latin).endswith("is not UTF-8.")


def test_failing_arithmetic_is_refused_in_one_line(seeded_shell: PortalShell) -> None:
    assert only_error_line(seeded_shell.run(*arguments(seeded_shell, body="{{ 'inf' | plus: 1 | floor }}")))


def test_words_in_another_language_are_published_and_removed(shell: PortalShell) -> None:
    shell.add_template("due", "Dear {{ name }}", subject="Due")
    body = shell.write_file("es.md", "Hola, {{ name }}")
    translate = ("templates", "translate", "due", "es")
    assert shell.output_of(*translate, "--subject", "Vence", "--body-file", body) == "2"
    lines = shell.output_of("templates", "preview", "due", "--language", "es").splitlines()
    assert lines[:3] == ["Vence", "", "Hola, Jordan Rivera"]
    assert shell.error_of(*translate, "--subject", "Vence").startswith("Enter the body in Spanish too")
    assert shell.output_of(*translate, "--remove") == "3"
    assert (
        shell.error_of("templates", "preview", "due", "--language", "es") == "The template has no variant in Spanish."
    )
