import pytest

from portal.authentication.rules.totp import app_uri
from portal.web.account.qr_code import qr_code_svg


@pytest.mark.parametrize("name", ["n" * 5_000, "\U0001f600" * 5_000, "a:b" * 2_000])
def test_names_of_any_length_fit_into_the_code_that_an_app_scans(name: str) -> None:
    uri = app_uri("2GBOT4CNSK4CUAY4EUXINPMKAHDE4VSG", name, name)
    assert qr_code_svg(uri, "Code").startswith("<svg")
