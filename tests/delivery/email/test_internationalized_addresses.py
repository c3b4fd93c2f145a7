"""Addresses of all letters: a domain goes out in ASCII, a mailbox where the mail server takes it."""

import pytest

from portal.accounts import account_management
from portal.accounts.account_management import NewAccount
from portal.consent import account_import
from portal.consent.account_import import ImportRejected
from portal.core.errors import InvalidInput
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
HEADER = "external_id,name,email,account_type\n"
PLAIN, UTF8 = ["SIZE", "8BITMIME"], ["SIZE", "8BITMIME", "SMTPUTF8"]


def import_csv(*emails: str) -> int:
    rows = "".join(f"U-{place},Jordan,{email},Practitioner\n" for place, email in enumerate(emails))
    return account_import.import_accounts((HEADER + rows).encode(), scenario.now_ms())


def send_to_everyone() -> None:
    scenario.configure_gateway()
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_email_worker()


def test_mail_to_an_international_domain_needs_nothing_of_the_server(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp_extensions=[])
    import_csv("jordan@bücher.example", "sam@xn--bcher-kva.example", "kim@例え.jp")
    send_to_everyone()
    assert scenario.count_states("email") == {"handed_off": 3}
    assert [mail["to"] for mail in simulator.received_emails()] == [
        ["jordan@xn--bcher-kva.example"],
        ["sam@xn--bcher-kva.example"],
        ["kim@xn--r8jz45g.jp"],
    ]


def test_letters_before_the_at_sign_go_where_the_server_takes_them(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp_extensions=UTF8)
    import_csv("jürgen@bücher.example", "o'neill@example.org")
    send_to_everyone()
    assert sorted(mail["to"][0] for mail in simulator.received_emails()) == [
        "jürgen@xn--bcher-kva.example",
        "o'neill@example.org",
    ]
    assert scenario.count_states("email") == {"handed_off": 2}


@pytest.mark.one_engine
@pytest.mark.parametrize(
    ("fault", "words"), [([], "takes none of those"), ([{"kind": "refuse_connect"}], "be asked now")]
)
def test_where_it_does_not_they_are_refused_where_they_are_typed(
    simulator: servers.SimulatorClient, fault: list[dict[str, str]], words: str
) -> None:
    simulator.set_faults(smtp_extensions=PLAIN, smtp=fault)
    with pytest.raises(ImportRejected) as refused:
        import_csv("jordan@example.org", "jürgen@example.org", "ж@bücher.example")
    assert [(mistake.row, mistake.column) for mistake in refused.value.row_errors] == [(3, "email"), (4, "email")]
    assert words in refused.value.row_errors[0].message
    with pytest.raises(InvalidInput) as invalid:
        account_management.create_account(
            NewAccount("U-1", "Jürgen", "jürgen@example.org", "Practitioner"), scenario.now_ms()
        )
    assert words in invalid.value.errors["email"]


@pytest.mark.one_engine
def test_a_server_that_takes_such_letters_no_more_is_told_as_such(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp_extensions=UTF8)
    import_csv("jürgen@example.org", "sam@example.org")
    simulator.set_faults(smtp_extensions=PLAIN)
    send_to_everyone()
    assert scenario.count_states("email") == {"handed_off": 1, "rejected": 1}
    (refused,) = [row for row in scenario.deliveries("email") if row.state == "rejected"]
    assert refused.error_code == "5.6.7"


@pytest.mark.one_engine
@pytest.mark.parametrize("email", ["jo\u200brdan@example.org", " jordan@example.org\u00a0", "jordan@exa\u00admple.org"])
def test_what_nobody_sees_is_not_part_of_an_address(simulator: servers.SimulatorClient, email: str) -> None:
    new = NewAccount("U-1", "Jordan", email, "Practitioner")
    account_management.create_account(new, scenario.now_ms())
    send_to_everyone()
    assert [mail["to"] for mail in simulator.received_emails()] == [["jordan@example.org"]]
