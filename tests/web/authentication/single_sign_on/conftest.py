"""A portal with a single sign-on, and the provider that it trusts."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal.core.rules.oidc_settings import parse_single_sign_on
from tests.support.fakes.oidc_server import CLIENT_ID, CLIENT_SECRET, OidcServer, running_oidc_server
from tests.support.web_client import PUBLIC_URL

VARIABLES = {
    "PORTAL_OIDC_CLIENT_ID": CLIENT_ID,
    "PORTAL_OIDC_CLIENT_SECRET": CLIENT_SECRET,
    "PORTAL_OIDC_NAME": "Example Login",
}
Configure = Callable[..., None]


@pytest.fixture(scope="module")
def oidc_process() -> Iterator[OidcServer]:
    with running_oidc_server(f"{PUBLIC_URL}/SignIn/SingleSignOn/Callback") as server:
        yield server


@pytest.fixture
def provider(oidc_process: OidcServer) -> OidcServer:
    """The provider, which says nothing wrong."""
    vars(oidc_process).update(vars(OidcServer(oidc_process.url, oidc_process.redirect_uri)))
    return oidc_process


@pytest.fixture
def configure(web_app: Flask, provider: OidcServer) -> Configure:
    """Changes the variables of the portal's single sign-on."""

    def configure(password_sign_in: bool = True, second_factor: str = "optional", **changes: str) -> None:
        variables = {**VARIABLES, "PORTAL_OIDC_ISSUER": provider.url, **changes}
        single_sign_on = parse_single_sign_on(variables)
        values = {"password_sign_in": password_sign_in, "second_factor": second_factor}
        web_app.config["PORTAL"] = replace(web_app.config["PORTAL"], single_sign_on=single_sign_on, **values)

    configure()
    return configure
