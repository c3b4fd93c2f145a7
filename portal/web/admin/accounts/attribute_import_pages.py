"""Administration → People → Attributes → Import: set attributes of many accounts from a file, after a preview."""

from flask import Blueprint

from portal.accounts.tables.attributes import all_attributes
from portal.consent.tables.import_tasks import ImportTaskKind
from portal.operations.attribute_import import KEY_COLUMN
from portal.web.admin.accounts.import_views import ImportPages, UploadForm

pages = Blueprint("admin_attribute_import", __name__, url_prefix="/Admin/Attributes/import")

ImportPages(
    pages,
    ImportTaskKind.ATTRIBUTES,
    "admin/attributes",
    UploadForm,
    lambda: {"key_column": KEY_COLUMN, "attributes": all_attributes()},
).add_views()
