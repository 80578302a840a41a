"""What somebody sees who opens the venue in a browser."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from selenium.webdriver import Chrome
from selenium.webdriver.support.ui import WebDriverWait

from tests.venue_process import VenueProcess

PATIENCE_S = 60
VECTORS = Path(__file__).parents[3] / "shared" / "vectors" / "truex_hmac.json"


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
    guest = answer_in(send_form(browser, "POST", "/auth/guest"))
    browser.execute_script("document.getElementById('token').value = arguments[0]", guest["token"])
    assert answer_in(send_form(browser, "GET", "/me"))["userId"] == guest["userId"]
    assert complaints(browser) == []


def send_form(browser: Chrome, method: str, path: str, body: object = None, **fields: str) -> str:
    """What a form of the page shows that is filled and sent: the status, and what comes after it."""
    selector = f'form[data-path="{path}"][data-method="{method}"]'
    browser.execute_script(
        """
        const [selector, body, fields] = arguments;
        const form = document.querySelector(selector);
        form.closest("details").open = true;
        if (body !== null) form.querySelector("textarea").value = body;
        for (const [name, value] of Object.entries(fields)) form.querySelector(`input[name="${name}"]`).value = value;
        form.querySelector("output").textContent = "";
        form.requestSubmit();
        """,
        selector,
        None if body is None else json.dumps(body, indent=2),
        fields,
    )

    def shown() -> str:
        found = text_of(browser, f"{selector} output")
        return "" if found == "…" else found

    return str(until(browser, shown))


def sign_as(browser: Chrome, key: str, secret: str) -> None:
    """Give the page a key and its secret."""
    browser.execute_script(
        "document.getElementById('key').value = arguments[0]; document.getElementById('secret').value = arguments[1]",
        key,
        secret,
    )


def answer_in(shown: str) -> Any:
    """The body of a reply that a form shows."""
    return json.loads(shown[re.search(r"^[\[{]", shown, re.MULTILINE).start() :])  # type: ignore[union-attr]


def test_the_reference_of_truex_signs_what_is_tried(browser: Chrome, browsed: VenueProcess) -> None:
    user = browsed.demo["users"][0]["truex"]
    browser.get(f"{browsed.url}/docs/truex")
    assert browser.execute_script("return document.getElementById('token')") is None
    # What needs no key is not signed.
    sign_as(browser, user["key_id"], user["secret"])
    (instrument,) = answer_in(send_form(browser, "GET", "/api/v1/instruments", symbol="BTC-PYUSD"))
    # The query is not part of what is signed, the body is, byte by byte.
    shown = send_form(browser, "GET", "/api/v1/clients", mnemonic="ALICE")
    assert shown.startswith("200")
    assert re.search(r"^signed: [0-9]{10}GET/api/v1/clients$", shown, re.MULTILINE)
    assert [row["id"] for row in answer_in(shown)] == [user["client_id"]]
    info = {"client_id": user["client_id"], "instrument_id": instrument["id"], "qty": "0.0001", "price": "60000"}
    order = {"external_id": "from-the-page", "info": {**info, "side": "BUY", "type": "LIMIT", "tif": "GTC"}}
    placed = send_form(browser, "POST", "/api/v1/orders", order)
    assert placed.startswith("200"), placed
    # An id in the path.
    found = send_form(browser, "GET", "/api/v1/orders/status/{ref_id}", ref_id="from-the-page", id_type="client")
    assert found.startswith("200"), found
    assert answer_in(found)["external_id"] == "from-the-page"
    gone = send_form(browser, "DELETE", "/api/v1/orders/{ref_id}", ref_id="from-the-page", id_type="client")
    assert gone.startswith("200"), gone
    assert complaints(browser) == []
    # A wrong secret, and none.
    sign_as(browser, user["key_id"], "wrong")
    assert send_form(browser, "GET", "/api/v1/clients").startswith("401")
    sign_as(browser, user["key_id"], "")
    unsigned = send_form(browser, "GET", "/api/v1/clients")
    assert unsigned.startswith("401")
    assert "signed:" not in unsigned
    assert browser.execute_script("return localStorage.length + sessionStorage.length + document.cookie.length") == 0
    complaints(browser)  # of the two refusals, which are meant


def test_the_reference_of_a_newer_version_asks_for_it(browser: Chrome, browsed: VenueProcess) -> None:
    user = browsed.demo["users"][1]["truex"]
    browser.get(f"{browsed.url}/docs/truex/v2026_01_23")
    sign_as(browser, user["key_id"], user["secret"])
    answer = answer_in(send_form(browser, "GET", "/api/v1/clients", mnemonic="BOB"))
    assert [row["id"] for row in answer["data"]] == [user["client_id"]]
    assert complaints(browser) == []


def test_the_page_signs_as_the_vectors_say(browser: Chrome, venue_url: str) -> None:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS} is not here")
    known = json.loads(VECTORS.read_text())
    browser.get(f"{venue_url}/docs/truex")
    for case in known["rest"]:
        signature = "return signatureOf(arguments[0], arguments[1])"
        assert browser.execute_script(signature, known["secret"], case["payload"]) == case["signature"], case["name"]


def test_a_clock_that_is_wrong_does_not_matter(browser: Chrome, browsed: VenueProcess) -> None:
    user = browsed.demo["users"][2]["truex"]
    browser.get(f"{browsed.url}/docs/truex")
    browser.execute_script("const now = Date.now; Date.now = () => now() + 3600000")
    sign_as(browser, user["key_id"], user["secret"])
    assert send_form(browser, "GET", "/api/v1/clients").startswith("200")


def test_the_reference_of_lethean_asks_for_no_credentials(browser: Chrome, venue_url: str) -> None:
    """Its tokens stand in the bodies."""
    browser.get(f"{venue_url}/docs/lethean")
    assert browser.execute_script("return document.querySelectorAll('header input').length") == 0


@pytest.mark.parametrize("path", ["/", "/docs", "/docs/flux", "/docs/truex"])
def test_a_page_needs_nothing_from_elsewhere(venue_url: str, path: str) -> None:
    reply = httpx2.get(f"{venue_url}{path}")
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in reply.headers["content-security-policy"]
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", reply.text)
