"""System → Registration: what to enter when a number is registered with carriers, and what is missing."""

from typing import Any

from flask import Blueprint, Response, render_template, url_for

from portal.content.rules.content_block_checks import BLOCKS
from portal.core.clock import now_ms
from portal.core.organisation import current_organisation
from portal.registration import pack
from portal.registration.rules.pack_fields import Rule, Source
from portal.settings.rules.business_setting import BUSINESS
from portal.web.access import allow

pages = Blueprint("sysadmin_registration", __name__, url_prefix="/SysAdmin/Registration")
_ADDRESSES: dict[Source, tuple[str, dict[str, Any]]] = {
    Source.BUSINESS: ("sysadmin_config.edit", {"name": BUSINESS}),
    Source.ORGANIZATION: ("sysadmin_organisation.page", {}),
    Source.PUBLIC_ADDRESS: ("setup_organisation.page", {}),
    Source.TEMPLATES: ("admin_templates.listing", {}),
    Source.CONTENT_BLOCK: ("admin_content.listing", {}),
    Source.PORTAL: ("admin_content.listing", {}),
}
"""Endpoint and arguments of the page on which a value is set."""


@pages.get("")
@allow("sysadmin")
def page() -> str:
    gaps = [(BLOCKS[key], issues) for key, issues in pack.wording_gaps().items()]
    return render_template("registration/pack.html", pack=pack.build_pack(now_ms()), gaps=gaps, edit_url=_edit_url)


@pages.get("/print")
@allow("sysadmin")
def printout() -> str:
    values = {"pack": pack.build_pack(now_ms()), "organisation": current_organisation().name, "at_ms": now_ms()}
    return render_template("registration/print.html", **values)


@pages.get("/registration.json")
@allow("sysadmin")
def download() -> Response:
    response = Response(pack.build_pack(now_ms()).as_json(), mimetype="application/json")
    response.headers["Content-Disposition"] = "attachment; filename=registration.json"
    return response


def _edit_url(rule: Rule) -> str:
    if rule.block:
        return url_for("admin_content.edit", key=rule.block)
    endpoint, arguments = _ADDRESSES[rule.source]
    return url_for(endpoint, **arguments)
