"""Administration → accounts → import: create and change many accounts from a file, after a preview."""

from typing import Any

from flask import Blueprint
from wtforms import BooleanField

from portal.accounts.rules.account_fields import OPTIONAL_COLUMNS, REQUIRED_COLUMNS
from portal.accounts.tables.attributes import all_attributes
from portal.core.translation import lazy_gettext
from portal.people import account_file_import
from portal.web.admin.accounts.import_views import ImportPages, UploadForm

pages = Blueprint("admin_account_import", __name__, url_prefix="/Admin/Accounts/Import")


class AccountUploadForm(UploadForm):
    erase_blanks = BooleanField(lazy_gettext("An empty cell in the column of an attribute removes its value"))

    @property
    def options(self) -> dict[str, Any]:
        return {"erase_blanks": bool(self.erase_blanks.data)}


ImportPages(
    pages,
    account_file_import.KIND,
    "admin/accounts",
    AccountUploadForm,
    lambda: {"required": REQUIRED_COLUMNS, "optional": OPTIONAL_COLUMNS, "attributes": all_attributes()},
).add_views()
