"""What every page must be, whatever it shows."""

from collections import Counter
from html.parser import HTMLParser

_VOID_ELEMENTS = {"meta", "link", "input", "br", "hr", "img"}


class PageChecker(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.ids: Counter[str] = Counter()
        self.labels: set[str] = set()
        self.fields: list[str] = []
        self.problems: list[str] = []
        self._open: list[str] = []
        self._post_without_token = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags[tag] += 1
        if tag not in _VOID_ELEMENTS:
            self._open.append(tag)
        if "id" in attributes:
            self.ids[attributes["id"]] += 1
        self._check_inline_code(tag, attributes)
        self._check_forms(tag, attributes)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> closes nothing that was opened last")
        if tag == "form" and self._post_without_token:
            self.problems.append("a POST form without its token")
            self._post_without_token = False

    def _check_inline_code(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "style" or (tag == "script" and "src" not in attributes):
            self.problems.append(f"an inline <{tag}>")
        for name, value in attributes.items():
            if name == "style" or name.startswith("on") or name.startswith("hx-on"):
                self.problems.append(f"the attribute {name} on <{tag}>")
            if name in ("src", "href") and value.startswith(("http:", "https:", "//")) and tag != "a":
                self.problems.append(f"<{tag}> asks another host: {value}")

    def _check_forms(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "form":
            self._post_without_token = attributes.get("method") == "post"
        if attributes.get("name") == "csrf_token":
            self._post_without_token = False
        if tag == "label":
            self.labels.add(attributes.get("for", ""))
        if (
            tag in ("input", "select", "textarea")
            and attributes.get("type") not in ("hidden",)
            and "label" not in self._open
        ):
            self.fields.append(attributes.get("id", ""))


def find_page_problems(page: str) -> list[str]:
    reader = PageChecker()
    reader.feed(page)
    problems = list(reader.problems)
    problems += [f"{reader.tags[tag]} <{tag}>" for tag in ("h1", "main", "title") if reader.tags[tag] != 1]
    problems += [f"the id {name} {count} times" for name, count in reader.ids.items() if count > 1]
    problems += [f"the field {name!r} has no label" for name in reader.fields if name not in reader.labels]
    return problems
