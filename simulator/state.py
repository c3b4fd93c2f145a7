"""The components of one running simulator."""

from hashlib import md5

from aiohttp import web

from simulator.background_tasks import BackgroundTasks
from simulator.faults.fault_parsing import initial_faults
from simulator.faults.model import Faults
from simulator.messages.carrier import Carrier
from simulator.messages.inbound import InboundMessages
from simulator.messages.receipt_sender import ReceiptSender
from simulator.settings import SimulatorSettings
from simulator.storage.store import Store
from simulator.webhooks.client import WebhookClient


class State:
    """Create it inside the event loop, because it opens the HTTP client."""

    def __init__(self, settings: SimulatorSettings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.tasks = BackgroundTasks()
        self.webhooks = WebhookClient(settings.live.auth_token)
        receipts = ReceiptSender(store, self.tasks, self.webhooks)
        self.carrier = Carrier(store, self.tasks, receipts, initial_faults(settings))
        self.inbound = InboundMessages(settings, store, self.webhooks, self.carrier)
        self.phone_number_sids = {number: _phone_number_sid(number) for number in settings.from_numbers}
        self.open_requests = 0
        self.carrier.resume(settings.live.account_sid)

    @property
    def faults(self) -> Faults:
        return self.carrier.faults

    @faults.setter
    def faults(self, faults: Faults) -> None:
        self.carrier.faults = faults

    def owns(self, phone_number: str) -> bool:
        return phone_number in self.settings.from_numbers

    async def reset(self) -> None:
        await self.tasks.stop()
        self.carrier.reset()
        self.store.reset()
        self.faults = initial_faults(self.settings)

    async def close(self) -> None:
        await self.tasks.stop()
        await self.webhooks.close()
        self.store.close()


STATE = web.AppKey("state", State)


def _phone_number_sid(phone_number: str) -> str:
    return "PN" + md5(phone_number.encode(), usedforsecurity=False).hexdigest()
