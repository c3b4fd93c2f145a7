"""`portal setup`: the steps of the checklist as commands."""

from tests.support import servers
from tests.support.portal_shell import PortalShell


def test_link_is_printed_until_there_is_a_sysadmin(shell: PortalShell) -> None:
    first, second = (shell.output_of("setup", "link").splitlines()[-1] for _ in range(2))
    assert first.startswith("http://127.0.0.1:8000/Setup/")
    assert first != second
    shell.output_of("accounts", "create", "--email", "s@example.org", "--role", "sysadmin")
    assert shell.output_of("setup", "link") == ""


def test_steps_of_the_checklist_are_commands(shell: PortalShell, simulator: servers.SimulatorClient) -> None:
    shell.variables["PORTAL_TWILIO_API_URL"] = simulator.url
    shell.output_of("accounts", "create", "--email", "s@example.org", "--external-id", "S-1", "--role", "sysadmin")
    organization = ("--name", "Harbor Board", "--region", "US", "--time-zone", "America/New_York")
    shell.output_of("setup", "organization", *organization)
    port = simulator.smtp_url.rpartition(":")[2]
    server = f'{{"Host": "127.0.0.1", "Port": {port}, "From": "notices@example.org"}}'
    assert shell.output_of("setup", "email", "--to", "S-1", "--server", server) == "s@example.org"
    code = simulator.received_emails()[0]["text"].partition("enter the code ")[2][:6]
    shell.output_of("setup", "confirm-email", code)
    account = ("--account-sid", "AC00000000000000000000000000000001", "--number", servers.FROM_NUMBER)
    connected = shell.run("setup", "twilio", *account, stdin_text="simulator-live-token\n")
    assert connected.stdout == "Both addresses are set at Twilio.\n", connected.stderr
    shell.output_of("setup", "confirm", "opt_outs")
    listed = [line.split("\t") for line in shell.run("setup", "status").stdout.splitlines()]
    assert {line[0] for line in listed if line[1] == "done"} == {"organization", "email", "twilio", "opt_outs"}


def test_refusal_of_a_step_is_one_sentence(shell: PortalShell) -> None:
    refused = shell.error_of("setup", "organization", "--public-url", "http://board.example.org")
    assert refused.startswith("The public address must begin with https://")
    assert shell.error_of("setup", "email", "--to", "S-1", "--server", "{") == "There is no account S-1."
    shell.output_of("accounts", "create", "--email", "s@example.org", "--external-id", "S-1")
    assert "not valid JSON" in shell.error_of("setup", "email", "--to", "S-1", "--server", "{")
