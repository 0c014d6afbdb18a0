"""What only a browser can tell: contrast, width, focus, and that nothing is refused or fetched afar."""

import pytest

from apps.exports.tests import house
from apps.metrics.registry import METRICS

pytestmark = pytest.mark.django_db(transaction=True)
EVIDENCE = f"/evidence/?metric={METRICS[0].key}&scope=team%3ATrading&day={house.DAY}"
PAGES = ["/", f"/?scope=team%3ATrading&day={house.DAY}", "/?day=2024-01-01", EVIDENCE]
PHONE, DESK = (390, 844), (1280, 900)

# The contrast of every text that can be seen with what lies behind it, by the formula of WCAG 2.
FAINT_TEXT = """
(() => {
  const parts = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const curve = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => .2126 * curve(r) + .7152 * curve(g) + .0722 * curve(b);
  const behind = e => {
    for (; e; e = e.parentElement) {
      const colour = parts(getComputedStyle(e).backgroundColor);
      if (colour.length < 4 || colour[3] > 0) return colour;
    }
    return [255, 255, 255];
  };
  const faint = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement, text = walk.currentNode.data.trim();
    if (!text || !e.checkVisibility() || e.closest("svg, option")) continue;
    const both = [light(parts(getComputedStyle(e).color)), light(behind(e))];
    const ratio = (Math.max(...both) + .05) / (Math.min(...both) + .05);
    if (ratio < 4.5) faint.push(ratio.toFixed(2) + " " + text.slice(0, 40));
  }
  return faint;
})()
"""
UNLABELLED = """
[...document.querySelectorAll("a, button, input:not([type=hidden]), select, [role=img], [role=region]")]
  .filter(e => !(e.getAttribute("aria-label") || e.textContent.trim() || (e.labels && e.labels.length)))
  .map(e => e.outerHTML)
"""
# Walks the page with the Tab key's own order and asks whether each stop is visibly marked.
UNMARKED_STOPS = """
[...document.querySelectorAll("a[href], button, input:not([type=hidden]), select, summary")].filter(e => {
  e.focus({focusVisible: true});
  return e.checkVisibility() && parseFloat(getComputedStyle(e).outlineWidth) < 2;
}).map(e => e.outerHTML.slice(0, 80))
"""


@pytest.mark.parametrize("page", PAGES)
def test_page_is_readable_in_both_schemes_and_on_a_phone(tab, page):
    for dark in (False, True):
        for width, height in (DESK, PHONE):
            tab.look(width=width, height=height, dark=dark)
            tab.goto(tab.at + page)
            assert tab.run(FAINT_TEXT) == [], ("dark" if dark else "light", width)
            assert tab.run("document.documentElement.scrollWidth") <= width
            assert tab.complaints() == []
            assert [address for address in tab.requested() if not address.startswith(tab.at)] == []
    assert tab.run(UNLABELLED) == []
    assert tab.run(UNMARKED_STOPS) == []
    assert tab.run("document.querySelectorAll('h1').length") == 1


def test_the_scope_picker_leads_to_the_address_of_a_team(tab):
    tab.look(width=DESK[0], height=DESK[1])
    tab.goto(tab.at + "/")
    tab.goto(
        tab.run(
            "(() => { const form = document.querySelector('.picker'); form.scope.value = 'team:Trading';"
            " return form.action + '?' + new URLSearchParams(new FormData(form)); })()"
        )
    )
    assert tab.run("document.querySelector('h1').textContent") == "Trading"


@pytest.mark.parametrize("page", ["/admin/", "/admin/metrics/metricvalue/", "/admin/runs/run/"])
def test_the_admin_works_under_the_policy_and_fetches_nothing_from_elsewhere(tab, page):
    tab.look(width=DESK[0], height=DESK[1])
    tab.goto(tab.at + page)
    assert tab.complaints() == []
    assert [address for address in tab.requested() if not address.startswith(tab.at)] == []


def test_nobody_signed_in_meets_a_sign_in_page_that_works(chromium, live_server, db):
    chromium.say("Network.clearBrowserCookies")
    chromium.goto(live_server.url + "/")
    assert chromium.run("location.pathname") == "/admin/login/"
    assert chromium.complaints() == []
