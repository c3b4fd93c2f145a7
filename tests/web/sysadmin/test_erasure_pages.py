"""Personal data: people download theirs, and a system administrator erases an account after typing its number."""

import io
import json
import zipfile

import pytest
from flask import Flask
from sqlalchemy import update

from portal.accounts.tables.accounts import find_by_external_id
from portal.core.audit_log import entries_about
from portal.core.extensions import db
from portal.messages.tables.communications import Delivery
from tests.support.html_checks import find_page_problems
from tests.support.web_client import PUBLIC_URL, WebClient

pytestmark = pytest.mark.usefixtures("sms_enabled", "sent_communications")


def account_id(app: Flask, external_id: str) -> int:
    with app.app_context():
        account = find_by_external_id(external_id)
        assert account is not None
        return account.id


def files_in(content: bytes) -> tuple[dict[str, object], str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return json.loads(archive.read("personal-data.json")), archive.read("personal-data.html").decode()


def test_people_download_their_own_data(web_app: Flask, number_owner: WebClient) -> None:
    assert "/MyAccount/PersonalData/personal-data.zip" in number_owner.get("/MyAccount/PersonalData").text
    data, page = files_in(number_owner.get("/MyAccount/PersonalData/personal-data.zip").get_data())
    assert "Olive Owner" in json.dumps(data)
    assert "Stan Stranger" not in json.dumps(data)
    assert '"network_address": "127.0.0.1"' in json.dumps(data["sessions"])
    assert "Notice for Olive Owner" in page
    assert find_page_problems(page) == []
    with web_app.app_context():
        assert len(entries_about("account P-1", ["personal_data_downloaded"])) == 1


def test_account_is_erased_after_its_number_is_typed(web_app: Flask, sysadmin: WebClient, admin: WebClient) -> None:
    owner_id = account_id(web_app, "P-1")
    url = f"/SysAdmin/Accounts/{owner_id}/Erase"
    assert admin.get(url).status_code == 404
    assert url in sysadmin.get(f"/Admin/Accounts/{owner_id}").text
    page = sysadmin.get(url).text
    assert "1 phone number<" in page
    assert "1 event of the consent ledger" in page
    refused = sysadmin.post(url, confirmation="P-2")
    assert refused.status_code == 422
    assert "Type the account number, P-1, to confirm." in refused.text
    assert 'value="P-2"' in refused.text
    assert find_page_problems(refused.text) == []
    erased = sysadmin.post(url, confirmation=" p-1 ")
    assert erased.status_code == 303
    profile = sysadmin.get(erased.headers["Location"]).text
    assert "Erased account" in profile
    assert "owner@example.org" not in profile
    assert "The personal data of this account was erased" in profile
    assert "Erased the personal data of account P-1" in sysadmin.get("/SysAdmin/AuditLog").text
    assert "was erased already" in sysadmin.post(url, confirmation="P-1").text


def test_erased_person_is_signed_out(web_app: Flask, sysadmin: WebClient, number_owner: WebClient) -> None:
    owner_id = account_id(web_app, "P-1")
    with web_app.app_context():
        db.session.execute(update(Delivery).values(state="handed_off"))
        db.session.commit()
    sysadmin.post(f"/SysAdmin/Accounts/{owner_id}/Erase", confirmation="P-1")
    page = number_owner.client.get("/MyAccount/PersonalData", base_url=PUBLIC_URL)
    assert page.status_code == 303


def test_sysadmin_downloads_the_data_of_somebody_who_asks(web_app: Flask, sysadmin: WebClient) -> None:
    owner_id = account_id(web_app, "P-1")
    data, _page = files_in(sysadmin.get(f"/SysAdmin/Accounts/{owner_id}/personal-data.zip").get_data())
    assert "owner@example.org" in json.dumps(data)
