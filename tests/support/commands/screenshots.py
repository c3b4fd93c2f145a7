"""`make screenshots`: takes the pictures in the documentation, and notes what each of them shows."""

import base64
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from bin.programs import find_program
from tests.support import servers
from tests.support.browser.demo_pictures import PICTURES, DemoPortal, demo_portal
from tests.support.browser.page_fingerprint import fingerprint, write_fingerprints

_WEBP = {"format": "webp", "quality": 85}


def main() -> int:
    executable = find_program("chromium")
    if executable is None:
        print("The pictures need Chromium. Run make ci-setup, then make screenshots again.", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="portal-pictures-") as folder,
        servers.running_valkey() as redis_url,
        demo_portal(Path(folder), redis_url) as portal,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        _take_pictures(portal, browser)
        browser.close()
    return 0


def _take_pictures(portal: DemoPortal, browser: Browser) -> None:
    fingerprints = {}
    for picture in PICTURES:
        with portal.open(browser, picture) as (page, html):
            picture.file.write_bytes(_screenshot(page))
            fingerprints[picture.name] = fingerprint(page, html)
        print(f"{picture.file.relative_to(servers.ROOT)}  {picture.file.stat().st_size // 1024} KB")
    write_fingerprints(fingerprints)


def _screenshot(page: Page) -> bytes:
    """Playwright itself knows only PNG and JPEG, which are larger."""
    session = page.context.new_cdp_session(page)
    return base64.b64decode(session.send("Page.captureScreenshot", _WEBP)["data"])


if __name__ == "__main__":
    sys.exit(main())
