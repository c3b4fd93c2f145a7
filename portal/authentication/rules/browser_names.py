"""What a browser calls itself, in a few words that a person recognizes."""

_BROWSERS = {"Edg": "Edge", "OPR/": "Opera", "Firefox/": "Firefox", "FxiOS": "Firefox", "CriOS": "Chrome"} | {
    "Chrome/": "Chrome",
    "Safari/": "Safari",
}
_SYSTEMS = {"iPhone": "iPhone", "iPad": "iPad", "Android": "Android", "Windows": "Windows"} | {
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}
"""By what is looked for, in order: most browsers also claim to be the later ones."""


def browser_name(user_agent: str) -> str:
    """“Firefox (Windows)”; "" if it says neither."""
    browser, system = (
        next((name for sign, name in names.items() if sign in user_agent), "") for names in (_BROWSERS, _SYSTEMS)
    )
    return f"{browser} ({system})" if browser and system else browser or system
