"""The addresses of the API; what is not there answers 404 in Twilio's shape."""

from aiohttp import web

from simulator.api.accounts import show_account, show_number, show_numbers, update_number
from simulator.api.create import create_message
from simulator.api.door import ApiHandler, Request, api_handler
from simulator.api.listing import list_messages
from simulator.api.messages import delete_message, fetch_message, update_message
from simulator.api.services import list_campaigns, list_verifications, show_service, update_service
from simulator.codes import ApiError
from simulator.settings import API_VERSION

_ACCOUNT = f"/{API_VERSION}/Accounts/{{account_sid}}"
_NUMBERS = f"{_ACCOUNT}/IncomingPhoneNumbers"


async def _nothing_here(request: Request) -> web.Response:
    raise ApiError(20404, 404, detail=f"{request.web.path} is not part of this API.")


_ROUTES: list[tuple[str, str, str, ApiHandler]] = [
    ("POST", f"{_ACCOUNT}/Messages.json", "create", create_message),
    ("GET", f"{_ACCOUNT}/Messages.json", "list", list_messages),
    ("GET", f"{_ACCOUNT}/Messages/{{sid}}.json", "fetch", fetch_message),
    ("POST", f"{_ACCOUNT}/Messages/{{sid}}.json", "update", update_message),
    ("DELETE", f"{_ACCOUNT}/Messages/{{sid}}.json", "delete", delete_message),
    ("GET", f"{_ACCOUNT}.json", "account", show_account),
    ("GET", f"{_NUMBERS}.json", "numbers", show_numbers),
    ("GET", f"{_NUMBERS}/{{sid}}.json", "number", show_number),
    ("POST", f"{_NUMBERS}/{{sid}}.json", "number", update_number),
    ("GET", "/v1/Services/{sid}", "service", show_service),
    ("POST", "/v1/Services/{sid}", "service", update_service),
    ("GET", "/v1/Services/{sid}/Compliance/Usa2p", "registration", list_campaigns),
    ("GET", "/v1/Tollfree/Verifications", "registration", list_verifications),
    ("*", "/v1/{rest:.*}", "unknown", _nothing_here),
    ("*", f"{_ACCOUNT}{{rest:.*}}", "unknown", _nothing_here),
]


def add_routes(app: web.Application) -> None:
    for method, path, kind, handler in _ROUTES:
        app.router.add_route(method, path, api_handler(kind, handler))
