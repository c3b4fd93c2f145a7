"""System → signing key: what others compare a proof of notice with."""

import base64

from flask import Blueprint, render_template

from portal.core.clock import now_ms
from portal.core.errors import ActionRefused
from portal.records.rules.proof_file import fingerprint
from portal.settings.signing import earlier_signing_keys, signing_key
from portal.web.access import allow

pages = Blueprint("sysadmin_signing_key", __name__, url_prefix="/SysAdmin/SigningKey")


@pages.get("")
@allow("sysadmin")
def page() -> str:
    """An unreadable key is shown as such."""
    try:
        key = signing_key(now_ms())
    except ActionRefused as error:
        return render_template("sysadmin/signing_key/page.html", problem=error.message)
    public = key.public_bytes
    return render_template(
        "sysadmin/signing_key/page.html",
        fingerprint=fingerprint(public),
        public_key=base64.b64encode(public).decode(),
        created_at_ms=key.created_at_ms,
        earlier_keys=[(fingerprint(key.public_bytes), key) for key in earlier_signing_keys()],
    )
