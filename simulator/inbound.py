"""Texts from a handset: Twilio's own opt-out list first, then the product's webhook, then its TwiML answer."""

import secrets
from dataclasses import dataclass, field
from xml.etree import ElementTree

from simulator.carrier import Carrier, now_ms
from simulator.keywords import is_toll_free, keyword_of, reply_to
from simulator.message import AUTO_REPLY, Message
from simulator.segments import count_segments
from simulator.settings import API_VERSION, Settings
from simulator.store import Store
from simulator.webhooks import Answer, Webhooks


@dataclass
class Delivery:
    """What became of one inbound text; one answer for each time it was posted."""

    sid: str
    answers: list[Answer] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)  # sids of the outbound replies


class Inbound:
    def __init__(self, settings: Settings, store: Store, webhooks: Webhooks, carrier: Carrier) -> None:
        self._settings = settings
        self._store = store
        self._webhooks = webhooks
        self._carrier = carrier

    async def receive(self, handset: str, number: str, body: str, sid: str | None = None, times: int = 1) -> Delivery:
        """A known `sid` is posted again without being stored again, as Twilio repeats a webhook."""
        message = self._store.messages.get(sid or "")
        if message is None:
            message = self._new(handset, number, body, "inbound", "received", sid)
            self._store.add_message(message)
            self._keep_opt_outs(message)
        delivery = Delivery(message.sid)
        for _ in range(times):
            await self._deliver(message, delivery)
        return delivery

    def _keep_opt_outs(self, message: Message) -> None:
        handset, number = message.sender, message.recipient
        keyword, blocked = keyword_of(message.body, number), (number, handset) in self._store.blocks
        if keyword == "stop" and not blocked:
            self._store.block(number, handset)
            self._auto_reply(number, handset, keyword)
        elif keyword == "start" and blocked:
            self._store.unblock(number, handset)
            self._auto_reply(number, handset, keyword)
        elif keyword == "help" and not (blocked and is_toll_free(number)):
            self._auto_reply(number, handset, keyword)

    def _auto_reply(self, number: str, handset: str, keyword: str) -> None:
        reply = self._new(number, handset, reply_to(keyword, number), AUTO_REPLY, "delivered")
        reply.account_sid = ""  # not one of the account's messages: the API never shows it
        reply.sent_ms = reply.reached_ms = reply.created_ms
        self._store.add_message(reply)

    async def _deliver(self, message: Message, delivery: Delivery) -> None:
        url = self._store.sms_urls.get(message.recipient, self._settings.inbound_url)
        answer = await self._webhooks.post(url, inbound_params(message))
        delivery.answers.append(answer)
        message.receipts.append(
            {"status": "received", "answer": answer.status if answer.error is None else answer.error}
        )
        self._store.save_message(message)
        for text in twiml_messages(answer):
            self._reply(message, text, delivery)

    def _reply(self, inbound: Message, text: str, delivery: Delivery) -> None:
        number, handset = inbound.recipient, inbound.sender
        if (number, handset) in self._store.blocks:
            return  # Twilio blocks replies to a stopped handset as well
        reply = self._new(number, handset, text, "outbound-reply", "queued")
        self._store.add_message(reply)
        self._carrier.take(reply)
        delivery.replies.append(reply.sid)

    def _new(
        self, sender: str, recipient: str, body: str, direction: str, status: str, sid: str | None = None
    ) -> Message:
        at_ms = now_ms()
        return Message(
            sid=sid or new_sid(),
            account_sid=self._settings.live.account_sid,
            sender=sender,
            recipient=recipient,
            body=body,
            direction=direction,
            status=status,
            segments=count_segments(body),
            created_ms=at_ms,
            updated_ms=at_ms,
            sent_ms=at_ms if direction == "inbound" else None,
        )


def new_sid() -> str:
    return "SM" + secrets.token_hex(16)


def inbound_params(message: Message) -> dict[str, str]:
    places = {f"{side}{part}": "" for side in ("From", "To") for part in ("City", "State", "Zip")}
    return {
        "ToCountry": "US",
        "FromCountry": "US",
        **places,
        "SmsMessageSid": message.sid,
        "NumMedia": "0",
        "SmsSid": message.sid,
        "SmsStatus": "received",
        "Body": message.body,
        "To": message.recipient,
        "NumSegments": str(message.segments),
        "MessageSid": message.sid,
        "AccountSid": message.account_sid,
        "From": message.sender,
        "ApiVersion": API_VERSION,
    }


def twiml_messages(answer: Answer) -> list[str]:
    """The texts a TwiML answer asks for. A wrong content type or bad XML asks for none, as with Twilio."""
    if answer.status != 200 or answer.content_type not in ("text/xml", "application/xml"):
        return []
    try:
        root = ElementTree.fromstring(answer.text)  # noqa: S314 (the product's own answer; expat limits expansion)
    except ElementTree.ParseError:
        return []
    texts = [_text_of(element) for element in root.iter("Message")]
    return [text for text in texts if text]


def _text_of(element: ElementTree.Element) -> str:
    body = element.find("Body")
    return ((element if body is None else body).text or "").strip()
