"""The addresses of the pages."""

from aiohttp import web

from simulator.pages import fault_page, handsets, mailbox
from simulator.pages.phones import count
from simulator.pages.render import STATIC, page
from simulator.world import WORLD


async def show_index(request: web.Request) -> web.Response:
    world = request.app[WORLD]
    return page(
        "index.html",
        phones=count(world.store),
        mails=len(world.store.mails),
        numbers=world.settings.from_numbers,
        settings=world.settings,
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
    post("/handsets/{number}", handsets.reply)
    get("/handsets/{number}/fragment", handsets.handset_fragment)
    get("/mailbox", mailbox.show_mailbox)
    get("/mailbox/fragment", mailbox.mailbox_fragment)
    get("/mailbox/{id}", mailbox.show_mail)
    get("/mailbox/{id}/html", mailbox.mail_html)
    get("/mailbox/{id}/raw", mailbox.mail_raw)
    get("/faults", fault_page.show_faults)
    post("/faults", fault_page.set_faults)
    app.router.add_static("/static", STATIC)
