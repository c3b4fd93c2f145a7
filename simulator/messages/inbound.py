"""Receive texts from handsets: update Twilio's opt-outs, call the application's webhook, send its TwiML replies."""

import secrets
from dataclasses import dataclass, field

from simulator.current_time import now_ms
from simulator.messages.carrier import Carrier
from simulator.messages.message import AUTO_REPLY, Message
from simulator.messages.opt_out_keywords import auto_reply, keyword_of
from simulator.messages.segments import count_segments
from simulator.messages.twiml import twiml_messages
from simulator.number_formats import is_toll_free
from simulator.settings import API_VERSION, SimulatorSettings
from simulator.storage.store import Store
from simulator.webhooks.client import WebhookClient, WebhookResponse


@dataclass
class InboundDelivery:
    """The webhook's responses to one inbound text, one for each POST."""

    sid: str
    responses: list[WebhookResponse] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)  # sids of the outbound replies


class InboundMessages:
    def __init__(self, settings: SimulatorSettings, store: Store, webhooks: WebhookClient, carrier: Carrier) -> None:
        self._settings = settings
        self._store = store
        self._webhooks = webhooks
        self._carrier = carrier

    async def receive(
        self, handset: str, sending_number: str, body: str, sid: str | None = None, posts: int = 1
    ) -> InboundDelivery:
        """Store the text and post it `posts` times.

        A `sid` that is already stored is only posted again, as Twilio does when it retries a webhook.
        """
        message = self._store.messages.get(sid or "")
        if message is None:
            message = self._new_message(handset, sending_number, body, "inbound", "received", sid)
            self._store.add_message(message)
            self._update_opt_outs(message)
        delivery = InboundDelivery(message.sid)
        for _ in range(posts):
            await self._post(message, delivery)
        return delivery

    def _update_opt_outs(self, message: Message) -> None:
        handset, sending_number = message.from_number, message.to_number
        keyword = keyword_of(message.body, sending_number)
        opted_out = (sending_number, handset) in self._store.opt_outs
        if keyword == "stop" and not opted_out:
            self._store.add_opt_out(sending_number, handset)
            self._send_auto_reply(sending_number, handset, keyword)
        elif keyword == "start" and opted_out:
            self._store.remove_opt_out(sending_number, handset)
            self._send_auto_reply(sending_number, handset, keyword)
        elif keyword == "help" and not (opted_out and is_toll_free(sending_number)):
            self._send_auto_reply(sending_number, handset, keyword)

    def _send_auto_reply(self, sending_number: str, handset: str, keyword: str) -> None:
        reply = self._new_message(sending_number, handset, auto_reply(keyword, sending_number), AUTO_REPLY, "delivered")
        reply.account_sid = ""  # so that the API never lists it as a message of the account
        reply.sent_ms = reply.reached_ms = reply.created_ms
        self._store.add_message(reply)

    async def _post(self, message: Message, delivery: InboundDelivery) -> None:
        url = self._store.webhook_config.get((message.to_number, "sms_url"), self._settings.inbound_url)
        response = await self._webhooks.post(url, inbound_params(message))
        delivery.responses.append(response)
        message.receipts.append({"status": "received", "answer": response.status_or_error})
        self._store.save_message(message)
        for text in twiml_messages(response):
            self._send_reply(message, text, delivery)

    def _send_reply(self, inbound: Message, text: str, delivery: InboundDelivery) -> None:
        sending_number, handset = inbound.to_number, inbound.from_number
        if (sending_number, handset) in self._store.opt_outs:
            return  # Twilio also blocks replies to a handset that has opted out
        reply = self._new_message(sending_number, handset, text, "outbound-reply", "queued")
        self._store.add_message(reply)
        self._carrier.enqueue(reply)
        delivery.replies.append(reply.sid)

    def _new_message(
        self, from_number: str, to_number: str, body: str, direction: str, status: str, sid: str | None = None
    ) -> Message:
        at_ms = now_ms()
        return Message(
            sid=sid or new_message_sid(),
            account_sid=self._settings.live.account_sid,
            from_number=from_number,
            to_number=to_number,
            body=body,
            direction=direction,
            status=status,
            segments=count_segments(body),
            created_ms=at_ms,
            updated_ms=at_ms,
            sent_ms=at_ms if direction == "inbound" else None,
        )


def new_message_sid() -> str:
    return "SM" + secrets.token_hex(16)


def inbound_params(message: Message) -> dict[str, str]:
    """The parameters of Twilio's inbound webhook (docs/twilio.md#webhooks)."""
    locations = {f"{side}{part}": "" for side in ("From", "To") for part in ("City", "State", "Zip")}
    return {
        "ToCountry": "US",
        "FromCountry": "US",
        **locations,
        "SmsMessageSid": message.sid,
        "NumMedia": "0",
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "Body": message.body,
        "To": message.to_number,
        "NumSegments": str(message.segments),
        "MessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.from_number,
        "ApiVersion": API_VERSION,
    }
