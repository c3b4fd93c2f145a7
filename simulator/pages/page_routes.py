"""Routes of the simulator's pages."""

from aiohttp import web

from simulator.pages import fault_pages, handsets, mailbox
from simulator.pages.handset_views import count_handsets
from simulator.pages.page_rendering import STATIC, page
from simulator.state import STATE


async def show_index(request: web.Request) -> web.Response:
    state = request.app[STATE]
    return page(
        "index.html",
        handsets=count_handsets(state.store),
        emails=len(state.store.emails),
        sending_numbers=state.settings.from_numbers,
        settings=state.settings,
    )


async def health(_request: web.Request) -> web.Response:
    return web.json_response({"ready": True})


def add_routes(app: web.Application) -> None:
    get, post = app.router.add_get, app.router.add_post
    get("/", show_index)
    get("/healthz", health)
    get("/handsets", handsets.show_handsets)
    get("/handsets/fragment", handsets.handsets_fragment)
    get("/handsets/open", handsets.open_handset)
    get("/handsets/{number}", handsets.show_handset)
    post("/handsets/{number}", handsets.send_text)
    get("/handsets/{number}/fragment", handsets.handset_fragment)
    get("/mailbox", mailbox.show_mailbox)
    get("/mailbox/fragment", mailbox.mailbox_fragment)
    get("/mailbox/{id}", mailbox.show_email)
    get("/mailbox/{id}/html", mailbox.email_html)
    get("/mailbox/{id}/raw", mailbox.email_source)
    get("/faults", fault_pages.show_faults)
    post("/faults", fault_pages.set_faults)
    app.router.add_static("/static", STATIC)
