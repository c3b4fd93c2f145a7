"""Read the TwiML that a webhook returns."""

from xml.etree import ElementTree

from simulator.webhooks.client import WebhookResponse


def twiml_messages(response: WebhookResponse) -> list[str]:
    """The texts of all `<Message>` elements. Like Twilio, ignore a wrong content type or invalid XML."""
    if response.status != 200 or response.content_type not in ("text/xml", "application/xml"):
        return []
    try:
        root = ElementTree.fromstring(response.text)  # noqa: S314 (from the application; expat limits expansion)
    except ElementTree.ParseError:
        return []
    texts = [_text_of(element) for element in root.iter("Message")]
    return [text for text in texts if text]


def _text_of(element: ElementTree.Element) -> str:
    body = element.find("Body")
    return ((element if body is None else body).text or "").strip()
