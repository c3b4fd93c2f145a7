"""The parts of one running simulator, put together."""

from dataclasses import dataclass, field
from hashlib import md5

from aiohttp import web

from simulator.carrier import Carrier
from simulator.fault_json import started_with
from simulator.faults import Faults
from simulator.inbound import Inbound
from simulator.receipts import ReceiptSender
from simulator.settings import Settings
from simulator.store import Store
from simulator.tasks import Tasks
from simulator.webhooks import Webhooks


@dataclass
class World:
    settings: Settings
    store: Store
    tasks: Tasks
    webhooks: Webhooks
    carrier: Carrier
    inbound: Inbound
    open_requests: int = 0
    phone_sids: dict[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> Faults:
        return self.carrier.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.carrier.faults = faults

    def owns(self, number: str) -> bool:
        return number in self.settings.from_numbers

    async def forget_everything(self) -> None:
        await self.tasks.stop()
        self.carrier.forget_everything()
        self.store.forget_everything()
        self.faults = started_with(self.settings)

    async def close(self) -> None:
        await self.tasks.stop()
        await self.webhooks.close()
        self.store.close()


WORLD = web.AppKey("world", World)


def open_world(settings: Settings, store: Store) -> World:
    """Must run inside the event loop: it opens the HTTP client."""
    tasks = Tasks()
    webhooks = Webhooks(settings.live.auth_token)
    receipts = ReceiptSender(store, tasks, webhooks)
    carrier = Carrier(store, tasks, receipts, started_with(settings))
    world = World(
        settings=settings,
        store=store,
        tasks=tasks,
        webhooks=webhooks,
        carrier=carrier,
        inbound=Inbound(settings, store, webhooks, carrier),
        phone_sids={number: _phone_sid(number) for number in settings.from_numbers},
    )
    carrier.resume(settings.live.account_sid)
    return world


def _phone_sid(number: str) -> str:
    return "PN" + md5(number.encode(), usedforsecurity=False).hexdigest()
