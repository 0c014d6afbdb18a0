"""The pictures of the README: `python -m tests.browser.screenshots ADDRESS PASSWORD` while it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.browser.chromium import Browser, browser

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "img"
SIGN_IN = """
(() => {{
  document.querySelector("[name=username]").value = "admin";
  document.querySelector("[name=password]").value = {password};
  document.querySelector("form").submit();
}})()
"""


def take(tab: Browser, *, address: str, password: str) -> None:
    """The top of the dashboard of the whole org, in both schemes."""
    tab.look(width=1280, height=960)
    tab.goto(f"{address}/admin/login/?next=/")
    tab.events.clear()
    tab.run(SIGN_IN.format(password=json.dumps(password)))
    tab.wait_until_loaded()
    for scheme in ("light", "dark"):
        tab.look(width=1280, height=960, dark=scheme == "dark")
        tab.goto(address + "/")
        tab.screenshot(FOLDER / f"dashboard-{scheme}.png")


if __name__ == "__main__":
    with browser() as opened:
        take(opened, address=sys.argv[1].rstrip("/"), password=sys.argv[2])
