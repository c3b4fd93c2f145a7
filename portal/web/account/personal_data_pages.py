"""My account → personal data: what the portal knows of a person, as a download."""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue
from flask_security import current_user

from portal.accounts.tables.accounts import Account
from portal.core.clock import now_ms
from portal.core.extensions import db
from portal.records import personal_data, retention
from portal.web.access import allow
from portal.web.organisation_files import page_organisation

pages = Blueprint("my_data", __name__, url_prefix="/MyAccount/PersonalData")


@pages.get("")
@allow("user")
def page() -> str:
    return render_template("my_account/personal_data.html", kept=retention.kept_records())


@pages.get("/personal-data.zip")
@allow("user")
def download() -> ResponseReturnValue:
    return personal_data_file(current_user.id)


def personal_data_file(account_id: int) -> ResponseReturnValue:
    """HEAD hands nothing out, so the audit log has no entry of it."""
    if request.method == "HEAD":
        return Response(mimetype="application/zip")
    at_ms = now_ms()
    account = db.session.get_one(Account, account_id)
    personal_data.record_download(account, current_user.id, at_ms)
    data = personal_data.personal_data(account, at_ms)
    html = render_template("my_account/personal_data_file.html", data=data, organisation=page_organisation().name)
    headers = {"Content-Disposition": "attachment; filename=personal-data.zip"}
    return Response(personal_data.zip_file(data, html), mimetype="application/zip", headers=headers)
