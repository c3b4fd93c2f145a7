"""International addresses: domains are sent in ASCII, mailboxes only if the mail server supports them."""

import pytest

from portal.accounts import account_management
from portal.accounts.account_management import NewAccount
from portal.consent import account_import
from portal.consent.account_import import ImportRejected, ImportResult
from portal.core.errors import InvalidInput
from tests.support import scenario, servers

pytestmark = pytest.mark.usefixtures("app")
HEADER = "external_id,name,email,account_type\n"
PLAIN, UTF8 = ["SIZE", "8BITMIME"], ["SIZE", "8BITMIME", "SMTPUTF8"]


def import_csv(*emails: str) -> ImportResult:
    rows = "".join(f"U-{index},Jordan,{email},Practitioner\n" for index, email in enumerate(emails))
    return account_import.import_accounts((HEADER + rows).encode(), scenario.now_ms())


def send_to_everyone() -> None:
    scenario.configure_gateway()
    scenario.add_template()
    scenario.create_expanded_send()
    scenario.run_email_worker()


def test_international_domain_needs_no_smtputf8(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp_extensions=[])
    import_csv("jordan@bücher.example", "sam@xn--bcher-kva.example", "kim@例え.jp")
    send_to_everyone()
    assert scenario.count_states("email") == {"handed_off": 3}
    assert [mail["to"] for mail in simulator.received_emails()] == [
        ["jordan@xn--bcher-kva.example"],
        ["sam@xn--bcher-kva.example"],
        ["kim@xn--r8jz45g.jp"],
    ]


def test_international_mailbox_works_with_smtputf8(simulator: servers.SimulatorClient) -> None:
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
    ("fault", "message"), [([], "does not support them"), ([{"kind": "refuse_connect"}], "cannot be reached to check")]
)
def test_international_mailbox_is_rejected_without_smtputf8(
    simulator: servers.SimulatorClient, fault: list[dict[str, str]], message: str
) -> None:
    simulator.set_faults(smtp_extensions=PLAIN, smtp=fault)
    with pytest.raises(ImportRejected) as rejected:
        import_csv("jordan@example.org", "jürgen@example.org", "ж@bücher.example")
    assert [(error.row, error.column) for error in rejected.value.row_errors] == [(3, "email"), (4, "email")]
    assert message in rejected.value.row_errors[0].message
    with pytest.raises(InvalidInput) as invalid:
        account_management.create_account(
            NewAccount("U-1", "Jürgen", "jürgen@example.org", "Practitioner"), scenario.now_ms()
        )
    assert message in invalid.value.errors["email"]


@pytest.mark.one_engine
def test_server_that_drops_smtputf8_rejects_the_address(simulator: servers.SimulatorClient) -> None:
    simulator.set_faults(smtp_extensions=UTF8)
    import_csv("jürgen@example.org", "sam@example.org")
    simulator.set_faults(smtp_extensions=PLAIN)
    send_to_everyone()
    assert scenario.count_states("email") == {"handed_off": 1, "rejected": 1}
    (rejected,) = [row for row in scenario.deliveries("email") if row.state == "rejected"]
    assert rejected.error_code == "5.6.7"


@pytest.mark.one_engine
@pytest.mark.parametrize("email", ["jo\u200brdan@example.org", " jordan@example.org\u00a0", "jordan@exa\u00admple.org"])
def test_invisible_characters_are_removed_from_an_address(simulator: servers.SimulatorClient, email: str) -> None:
    new = NewAccount("U-1", "Jordan", email, "Practitioner")
    account_management.create_account(new, scenario.now_ms())
    send_to_everyone()
    assert [mail["to"] for mail in simulator.received_emails()] == [["jordan@example.org"]]
