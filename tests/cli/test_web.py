import pytest

from tests.support.portal_shell import PortalShell


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.5"])
def test_a_web_server_for_other_machines_wants_its_proxies_counted(shell: PortalShell, host: str) -> None:
    said = shell.error_of("web", "--host", host)
    assert said.startswith(f"portal web --host {host} listens to other machines: put a proxy with TLS before it")
    assert "PORTAL_TRUSTED_PROXIES" in said
