"""The routes of the API. An unknown path gets a 404 response in Twilio's format."""

from aiohttp import web

from simulator.api.account import fetch_account, fetch_phone_number, list_phone_numbers, update_phone_number
from simulator.api.consents import create_consents
from simulator.api.create_message import create_message
from simulator.api.deactivations import download, fetch_deactivations
from simulator.api.list_messages import list_messages
from simulator.api.manage_message import delete_message, fetch_message, update_message
from simulator.api.messaging_services import fetch_service, list_campaigns, list_verifications, update_service
from simulator.api.middleware import api_handler
from simulator.api.request import ApiHandler, ApiRequest
from simulator.error_codes import ApiError
from simulator.settings import API_VERSION

_ACCOUNT = f"/{API_VERSION}/Accounts/{{account_sid}}"
_PHONE_NUMBERS = f"{_ACCOUNT}/IncomingPhoneNumbers"


async def _not_found(request: ApiRequest) -> web.Response:
    raise ApiError(20404, 404, detail=f"The simulator does not support {request.web.path}.")


_ROUTES: list[tuple[str, str, str, ApiHandler]] = [
    ("POST", f"{_ACCOUNT}/Messages.json", "create", create_message),
    ("GET", f"{_ACCOUNT}/Messages.json", "list", list_messages),
    ("GET", f"{_ACCOUNT}/Messages/{{sid}}.json", "fetch", fetch_message),
    ("POST", f"{_ACCOUNT}/Messages/{{sid}}.json", "update", update_message),
    ("DELETE", f"{_ACCOUNT}/Messages/{{sid}}.json", "delete", delete_message),
    ("GET", f"{_ACCOUNT}.json", "account", fetch_account),
    ("GET", f"{_PHONE_NUMBERS}.json", "numbers", list_phone_numbers),
    ("GET", f"{_PHONE_NUMBERS}/{{sid}}.json", "number", fetch_phone_number),
    ("POST", f"{_PHONE_NUMBERS}/{{sid}}.json", "number", update_phone_number),
    ("GET", "/v1/Services/{sid}", "service", fetch_service),
    ("POST", "/v1/Services/{sid}", "service", update_service),
    ("GET", "/v1/Services/{sid}/Compliance/Usa2p", "registration", list_campaigns),
    ("GET", "/v1/Tollfree/Verifications", "registration", list_verifications),
    ("POST", "/v1/Consents/Bulk", "consents", create_consents),
    ("GET", "/v1/Deactivations", "deactivations", fetch_deactivations),
    ("*", "/v1/{rest:.*}", "unknown", _not_found),
    ("*", f"{_ACCOUNT}{{rest:.*}}", "unknown", _not_found),
]


def add_routes(app: web.Application) -> None:
    for method, path, kind, handler in _ROUTES:
        app.router.add_route(method, path, api_handler(kind, handler))
    app.router.add_get("/files/deactivations/{day}.txt", download)
