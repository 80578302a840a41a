"""What somebody sees who opens the venue in a browser."""

import re
from typing import Any

import httpx2
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

PATIENCE_S = 60


def until(browser: Chrome, holds: Any) -> Any:
    """What `holds` gives once it gives something true."""
    return WebDriverWait(browser, PATIENCE_S).until(lambda _: holds())


def text_of(browser: Chrome, selector: str) -> str:
    """The text of an element, read by one script, since the page redraws itself."""
    found = browser.execute_script("return document.querySelector(arguments[0])?.innerText ?? ''", selector)
    return str(found)


def complaints(browser: Chrome) -> list[str]:
    """What the browser's console says of faults."""
    entries: list[dict[str, str]] = browser.get_log("browser")  # type: ignore[no-untyped-call] # selenium's own
    return [entry["message"] for entry in entries if entry["level"] == "SEVERE"]


def test_the_front_page_shows_the_venue_as_it_trades(browser: Chrome, venue_url: str) -> None:
    browser.get(venue_url)
    until(browser, lambda: text_of(browser, "#status") == "live")
    until(browser, lambda: "BTC-PERP" in text_of(browser, "#markets") and "ETH-PERP" in text_of(browser, "#markets"))
    until(browser, lambda: re.search(r"\d", text_of(browser, "#bids")) and re.search(r"\d", text_of(browser, "#asks")))
    until(browser, lambda: re.search(r"BUY|SELL", text_of(browser, "#trades")))
    before = text_of(browser, "#bids") + text_of(browser, "#asks")
    until(browser, lambda: text_of(browser, "#bids") + text_of(browser, "#asks") != before)
    browser.execute_script("""document.querySelector('tr[data-market="ETH-PERP"] button').click()""")
    until(browser, lambda: text_of(browser, "#chosen") == "ETH-PERP" and re.search(r"\d", text_of(browser, "#bids")))
    assert "demo.json" in text_of(browser, "main")
    links = set(browser.execute_script("return [...document.querySelectorAll('main a')].map((link) => link.href)"))
    assert {f"{venue_url}/docs/flux", f"{venue_url}/docs/truex"} <= links
    assert complaints(browser) == []


def test_the_reference_of_flux_can_be_tried(browser: Chrome, venue_url: str) -> None:
    browser.get(f"{venue_url}/docs/flux")
    assert "WebSocket /ws" in text_of(browser, "#websocket")
    browser.execute_script(
        """
        const form = document.querySelector('form[data-path="/markets"][data-method="GET"]');
        form.closest("details").open = true;
        form.requestSubmit();
        """
    )
    answer = 'form[data-path="/markets"][data-method="GET"] output'
    until(browser, lambda: text_of(browser, answer).startswith("200"))
    assert "BTC-PERP" in text_of(browser, answer)
    assert complaints(browser) == []


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/flux", "/docs/truex"])
def test_a_page_needs_nothing_from_elsewhere(venue_url: str, path: str) -> None:
    reply = httpx2.get(f"{venue_url}{path}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", reply.text)
