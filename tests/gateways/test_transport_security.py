"""Connections to other machines are encrypted, and whoever answers with another certificate gets nothing."""

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from portal.core.rules.transport.outbound_addresses import is_forbidden, is_permitted_for_webhook
from portal.core.rules.transport.required_tls import database_tls_problem, mail_tls_problem, redis_tls_problem
from portal.gateways.alert_webhook import post_alert
from portal.gateways.https_context import https_context
from portal.gateways.outcomes import Accepted, NotSent
from portal.gateways.provider import ProviderUnavailable
from portal.gateways.queue import connect_redis
from portal.gateways.rules.email_message import OutgoingEmail
from portal.gateways.rules.provider_schema import Credentials
from portal.gateways.smtp import send_mail
from portal.gateways.twilio_http import TwilioTransport
from tests.support import servers
from tests.support.databases.pgbouncer import tls_pgbouncer
from tests.support.fakes import stub_servers
from tests.support.tls.authority import TestAuthority
from tests.support.tls.tls_servers import https_server, server_context, tls_in_front_of

MAIL = OutgoingEmail("jordan@example.org", "Jordan", "Hello", "Hello", "<p>Hello</p>", "<1.a@example.org>")
OTHER_HOST_URL = f"smtp://{stub_servers.OTHER_HOST}"


@pytest.fixture
def authority(tmp_path: Path) -> TestAuthority:
    return TestAuthority(tmp_path)


def test_database_with_another_name_or_authority_is_refused(authority: TestAuthority, postgres_server: str) -> None:
    verified = f"?sslmode=verify-full&sslrootcert={authority.ca_file}"
    with tls_pgbouncer(postgres_server, "postgres", authority.issue("127.0.0.1")) as url:
        with psycopg.connect(f"{url}{verified}") as connection:
            assert connection.pgconn.ssl_in_use
        with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
            psycopg.connect(f"{url}?sslmode=verify-full&sslrootcert=system")
    with (
        tls_pgbouncer(postgres_server, "postgres", authority.issue("db.example.org")) as url,
        pytest.raises(psycopg.OperationalError, match="does not match host name"),
    ):
        psycopg.connect(f"{url}{verified}")


@pytest.mark.parametrize(("host", "is_accepted"), [("127.0.0.1", True), ("redis.example.org", False)])
def test_redis_with_another_name_is_refused(
    authority: TestAuthority, redis_url: str, host: str, is_accepted: bool
) -> None:
    with tls_in_front_of(Path(redis_url.removeprefix("unix://")), authority.issue(host)) as port:
        url = f"rediss://127.0.0.1:{port}/0?ssl_ca_certs={authority.ca_file}"
        assert _redis_accepts(url) == is_accepted
        assert not _redis_accepts(f"rediss://127.0.0.1:{port}/0")


def _redis_accepts(url: str) -> bool:
    """Raises `AssertionError` if it fails for another reason than the certificate."""
    try:
        with connect_redis(url) as connection:
            return bool(connection.ping())
    except RedisConnectionError as error:
        if "certificate verify failed" not in str(error).lower():
            raise AssertionError(str(error)) from error
        return False


def test_mail_server_with_a_self_signed_certificate_gets_no_email(tmp_path: Path) -> None:
    with stub_servers.tls_smtp_server(tmp_path, login=False) as port:
        outcome = send_mail(f"{OTHER_HOST_URL}:{port}", "Office <office@example.org>", MAIL)
    assert isinstance(outcome, NotSent)
    assert "certificate is not trusted" in outcome.message


def test_mail_server_that_offers_no_tls_gets_no_email(simulator_without_tls: str) -> None:
    outcome = send_mail(simulator_without_tls, "Office <office@example.org>", MAIL)
    assert isinstance(outcome, NotSent)
    assert "no STARTTLS" in outcome.message
    assert isinstance(send_mail(f"{simulator_without_tls}?starttls=never", "Office <o@example.org>", MAIL), Accepted)


@pytest.fixture
def simulator_without_tls(simulator: servers.SimulatorClient) -> str:
    simulator.set_faults(smtp_extensions=[])
    return simulator.smtp_url.replace("127.0.0.1", stub_servers.OTHER_HOST)


def test_webhook_and_provider_with_an_unknown_authority_get_nothing(authority: TestAuthority) -> None:
    with https_server(server_context(authority.issue("127.0.0.1"))) as server:
        problem, status = post_alert(server.url, "a secret of the webhook", b"{}", 0)
        with pytest.raises(ProviderUnavailable, match="not trusted"):
            TwilioTransport(2, 2).open_client(server.url, Credentials("a", "b", "AC1")).api.v2010.accounts(
                "AC1"
            ).fetch()
    assert (problem, status, server.paths) == ("Its certificate is not trusted.", 0, [])


@pytest.fixture
def trusted_authority(authority: TestAuthority, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestAuthority]:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.ca_file))
    https_context.cache_clear()
    yield authority
    https_context.cache_clear()


def test_own_authority_is_trusted_and_redirects_are_not_followed(trusted_authority: TestAuthority) -> None:
    context = server_context(trusted_authority.issue("127.0.0.1"))
    with https_server(context) as target, https_server(context, f"{target.url}/elsewhere") as server:
        assert post_alert(target.url, "a secret of the webhook", b"{}", 0) == ("", 204)
        assert "redirects are not followed" in post_alert(server.url, "a secret of the webhook", b"{}", 0)[0]
        auth = ("user", "password")
        assert TwilioTransport(2, 2).send("POST", f"{server.url}/", auth, {"a": "b"}).status == 307
    assert target.paths == ["/"]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
def test_old_versions_of_tls_are_refused(trusted_authority: TestAuthority, version: str) -> None:
    context = server_context(trusted_authority.issue("127.0.0.1"))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    with https_server(context) as server:
        assert post_alert(server.url, "a secret of the webhook", b"{}", 0)[1] == 0
    assert server.paths == []


@pytest.mark.parametrize(
    ("url", "variables", "is_safe"),
    [
        ("postgresql://portal@db.example.org/portal?sslmode=verify-full", {}, True),
        ("postgresql://portal@db.example.org/portal", {"PGSSLMODE": "verify-full"}, True),
        ("postgresql://portal@127.0.0.1/portal", {}, True),
        ("postgresql://portal@/portal?host=/run/postgresql", {}, True),
        ("postgresql:///portal", {}, True),
        ("postgresql://portal@db.example.org/portal", {}, False),
        ("postgresql://portal@db.example.org/portal?sslmode=require", {}, False),
        ("postgresql://portal@db.example.org/portal?sslmode=verify-ca", {}, False),
        ("postgresql:///portal?host=127.0.0.1&host=db.example.org:5433", {}, False),
        ("postgresql://portal@127.0.0.1/portal?hostaddr=192.0.2.7", {}, False),
        ("postgresql:///portal", {"PGHOST": "db.example.org"}, False),
        ("postgresql:///portal?service=main", {}, False),
    ],
)
def test_database_elsewhere_needs_verified_tls(url: str, variables: dict[str, str], is_safe: bool) -> None:
    assert (database_tls_problem(url, variables) is None) == is_safe


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("rediss://queue.example.org", True),
        ("redis://127.0.0.1", True),
        ("unix:///run/valkey.sock", True),
        ("redis://queue.example.org", False),
        ("rediss://queue.example.org?ssl_cert_reqs=none", False),
        ("rediss://queue.example.org?ssl_cert_reqs=none&ssl_cert_reqs=required", False),
        ("rediss://queue.example.org?ssl_check_hostname=false", False),
        ("rediss://queue.example.org?ssl_check_hostname=", False),
    ],
)
def test_redis_elsewhere_needs_verified_tls(url: str, is_safe: bool) -> None:
    assert (redis_tls_problem(url) is None) == is_safe


@pytest.mark.parametrize(
    ("url", "is_safe"),
    [
        ("smtp://mail.example.org", True),
        ("smtps://mail.example.org", True),
        ("smtp://127.0.0.1?starttls=never", True),
        ("smtp://mail.example.org?starttls=offered", False),
        ("smtp://mail.example.org?starttls=never", False),
    ],
)
def test_mail_server_elsewhere_needs_tls(url: str, is_safe: bool) -> None:
    assert (mail_tls_problem(url) is None) == is_safe


@pytest.mark.parametrize(
    ("host", "address", "named_hosts", "is_permitted"),
    [
        ("alerts.example.org", "8.8.8.8", (), True),
        ("alerts.example.org", "8.8.8.8", ("alerts.example.org",), True),
        ("alerts.internal", "10.0.0.5", ("alerts.internal",), True),
        ("127.0.0.1", "127.0.0.1", (), True),
        ("other.example.org", "8.8.8.8", ("alerts.example.org",), False),
        ("alerts.example.org", "10.0.0.5", (), False),
        ("alerts.example.org", "127.0.0.1", (), False),
        ("alerts.example.org", "::1", (), False),
        ("alerts.example.org", "::ffff:192.168.0.1", (), False),
        ("alerts.example.org", "169.254.169.254", ("alerts.example.org",), False),
        ("alerts.example.org", "::ffff:169.254.169.254", ("alerts.example.org",), False),
        ("alerts.example.org", "fe80::1%eth0", ("alerts.example.org",), False),
        ("alerts.example.org", "fd00:ec2::254", ("alerts.example.org",), False),
        ("alerts.example.org", "0.0.0.0", (), False),
    ],
)
def test_webhook_reaches_nothing_that_only_the_portal_can_reach(
    host: str, address: str, named_hosts: tuple[str, ...], is_permitted: bool
) -> None:
    assert is_permitted_for_webhook(host, address, named_hosts) == is_permitted


def test_webhook_whose_name_leads_to_this_machine_is_not_called(
    trusted_authority: TestAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if the address was another one when the name was entered."""
    look_up = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", lambda _host, *rest, **more: look_up("127.0.0.1", *rest, **more))
    with https_server(server_context(trusted_authority.issue("alerts.example.org"))) as server:
        url = server.url.replace("127.0.0.1", "alerts.example.org")
        refused = post_alert(url, "a secret of the webhook", b"{}", 0)
        assert post_alert(url, "a secret of the webhook", b"{}", 0, ("alerts.example.org",)) == ("", 204)
    assert "It was not called" in refused[0]
    assert len(server.paths) == 1


def test_mail_server_may_be_on_this_machine_or_behind_a_translating_gateway() -> None:
    assert [peer for peer in ("127.0.0.1", "::1", "10.0.0.5", "64:ff9b::808:808") if is_forbidden(peer)] == []
    metadata = ("64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::1", "::ffff:169.254.169.254", "::")
    assert [peer for peer in metadata if not is_forbidden(peer)] == []
    assert is_permitted_for_webhook("localhost", "::1", ())
    assert not is_permitted_for_webhook("hooks.example.org", "::1", ())


def test_mail_server_is_never_a_metadata_service(
    simulator: servers.SimulatorClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Private networks are where mail servers are; a link-local address is not. This machine has none to try."""
    assert [is_forbidden(peer) for peer in ("169.254.169.254", "10.0.0.5")] == [True, False]
    monkeypatch.setattr("portal.gateways.checked_address.is_forbidden", lambda _peer: True)
    outcome = send_mail(simulator.smtp_url, "Office <office@example.org>", MAIL)
    assert isinstance(outcome, NotSent)
    assert "link-local or reserved" in outcome.message
