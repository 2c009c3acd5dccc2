# SPDX-License-Identifier: MIT
"""The page in a real browser: filled in, corrected, confirmed, and what the next pages show. Screenshots are kept."""

import shutil
import threading

import pytest
from stand_in import DETECTED

serving = pytest.importorskip("werkzeug.serving", reason="Flask is missing (package python3-flask)")
webdriver = pytest.importorskip("selenium.webdriver", reason="Selenium is missing (package python3-selenium)")

from selenium.webdriver.chrome.options import Options  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.common.exceptions import WebDriverException  # noqa: E402
from selenium.webdriver.support.wait import WebDriverWait  # noqa: E402

WIDE, NARROW = 1100, 420


@pytest.fixture(scope="module")
def browser():
    for name in ("chromium", "chromedriver"):
        if not shutil.which(name):
            pytest.skip(f"{name} is missing (packages chromium, chromium-driver)")
    options = Options()
    options.binary_location = shutil.which("chromium")
    for word in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(word)
    driver = webdriver.Chrome(service=Service(shutil.which("chromedriver")), options=options)
    driver.set_page_load_timeout(30)
    yield driver
    driver.quit()


class Reader:
    """Who sits before the browser."""

    def __init__(self, browser, address, screenshots):
        self.browser, self.address, self.screenshots = browser, address, screenshots
        browser.execute_cdp_cmd("Network.clearBrowserCookies", {})

    def open(self, path):
        self.browser.get(self.address + path)

    def at(self):
        return self.browser.current_url.removeprefix(self.address)

    def see(self, selector):
        return self.browser.find_elements("css selector", selector)

    def text(self, selector="main"):
        return self.see(selector)[0].text

    def type(self, name, text):
        field, = self.see(f"#{name}")
        field.clear()
        field.send_keys(text)

    def value(self, name):
        return self.see(f"#{name}")[0].get_attribute("value")

    def press(self, text="Continue"):
        button, = (each for each in self.see("button") if each.text == text)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        self.leave(button.click)

    def leave(self, how):
        """Does `how`, and waits for the page that comes: another one, or the same anew."""
        self.browser.execute_script("window.seenBefore = true")
        how()
        # While pages change, the driver may fail in ways that say nothing of the page.
        WebDriverWait(self.browser, 20, ignored_exceptions=(WebDriverException,)).until(lambda browser: browser.execute_script(
            "return !window.seenBefore && document.readyState === 'complete'"))

    def keep(self, name, width=WIDE):
        """A picture of the whole page."""
        self.screenshots.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            height = self.browser.execute_script("return document.documentElement.scrollHeight")
            self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {
                "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600})
        path = self.screenshots / f"{name}.png"
        assert self.browser.save_screenshot(str(path))
        overflow = self.browser.execute_script("return document.documentElement.scrollWidth > window.innerWidth")
        assert not overflow, f"{name}: the page is wider than the window"
        self.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.fixture()
def reader(browser, app, screenshots):
    server = serving.make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    made = Reader(browser, f"http://127.0.0.1:{server.server_port}", screenshots)
    yield made
    browser.get("about:blank")
    server.shutdown()
    thread.join()


def log_in(reader):
    reader.open("/wizard/libvirt")
    assert reader.at() == "/login"
    reader.press()
    assert reader.at() == "/wizard/wallet"
    reader.press()
    assert reader.at() == "/wizard/libvirt"


def test_a_customer_fills_in_the_page_corrects_it_confirms_and_sees_the_summary(reader, program, wizard):
    log_in(reader)
    assert reader.value("ip_network") == "192.168.1.0/24"
    assert "full speed" in reader.text()
    reader.keep("1-first-look")

    program.refuses(("ip_start", "--ip-start takes an address of a host in 192.168.1.0/24, not '192.168.9.20'"),
                    ("gc_grace_days", "--gc-grace-days takes whole days, not 'a week'"))
    reader.type("ip_start", "192.168.9.20")
    reader.type("gc_grace_days", "a week")
    reader.press()
    assert reader.at() == "/wizard/libvirt"
    assert "not '192.168.9.20'" in reader.text("#ip_start-said")
    assert "not 'a week'" in reader.text("#gc_grace_days-said")
    assert (reader.value("ip_start"), reader.value("gc_grace_days")) == ("192.168.9.20", "a week")
    assert [each.get_attribute("id") for each in reader.see("[aria-invalid]")] == ["ip_start", "gc_grace_days"]
    reader.keep("2-errors")

    program.warns(("gateway", "the pool (192.168.1.1 to 192.168.1.250) contains the gateway, 192.168.1.1"),
                  ("ip_start", "the pool (192.168.1.1 to 192.168.1.250) contains 192.168.1.5, this host's address on br0"))
    reader.type("ip_start", "192.168.1.1")
    reader.type("gc_grace_days", "14")
    reader.press()
    assert reader.at() == "/wizard/libvirt"
    assert "contains the gateway" in reader.text("#gateway-said")
    assert "Please look at this before you go on." in reader.text(".alert-warning")
    reader.keep("3-warnings")

    reader.press("Continue anyway")
    assert reader.at() == "/wizard/connectivity"
    reader.press()
    assert reader.at() == "/wizard/summary"
    assert "192.168.1.1 – 192.168.1.250 (250 machines)" in reader.text()
    assert "14 days" in reader.text() and "contains the gateway" in reader.text(".alert-warning")
    reader.keep("4-summary")

    reader.open("/wizard/libvirt")
    assert (reader.value("ip_start"), reader.value("gc_grace_days")) == ("192.168.1.1", "14")
    reader.leave(reader.see("a.btn-secondary")[0].click)
    assert reader.at() == "/wizard/wallet"


def test_enter_in_a_field_continues(reader, program):
    log_in(reader)
    reader.type("ip_end", "192.168.1.240")
    reader.leave(lambda: reader.see("#ip_end")[0].send_keys("\n"))
    assert reader.at() == "/wizard/connectivity"


def test_a_computer_that_is_not_ready_is_told_of_also_on_a_small_screen(reader, program):
    found = [dict(each) for each in DETECTED["findings"]]
    found[2] |= {"ok": False, "found": "no libvirt daemon has a socket here",
                 "advice": "start it: systemctl start libvirtd; where there is none: apt-get install libvirt-daemon-system"}
    found[4] |= {"found": "KVM cannot run guests here; emulation can, slowly"}
    program.answers("detect", {"works": False, "findings": found}, status=1)
    program.refuses(("bridge", "this host has no bridge with an IPv4 address that VMs could stand on"))
    log_in(reader)
    assert "systemctl start libvirtd" in reader.text(".libvirt-bad")
    reader.keep("5-not-ready")
    reader.keep("6-small-screen", NARROW)


def test_without_the_program_the_page_says_so(reader, helpers, monkeypatch):
    monkeypatch.setattr(helpers, "PROGRAM", "/usr/bin/blockhost-libvirt.missing")
    log_in(reader)
    assert "The program /usr/bin/blockhost-libvirt.missing is not installed." in reader.text(".alert-warning")
    reader.keep("7-no-program")
    reader.press("Continue anyway")
    assert reader.at() == "/wizard/connectivity"
