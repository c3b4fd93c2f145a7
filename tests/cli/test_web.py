import pytest

from tests.support.portal_shell import PortalShell


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5"])
def test_public_web_server_requires_trusted_proxies(shell: PortalShell, host: str) -> None:
    output = shell.error_of("web", "--host", host)
    assert output.startswith(f"portal web --host {host} is open to other machines: put a proxy with TLS in front of it")
    assert "PORTAL_TRUSTED_PROXIES" in output
