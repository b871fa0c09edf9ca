# SPDX-License-Identifier: MIT
"""A real browser, without a screen: what the fixture `browser` gives.

    def test_a_page(corelane, browser):
        browser.get(f"http://127.0.0.1:{corelane().port}/page.html")

Where there is none the tests that ask for it are skipped.
"""
import shutil

import pytest


def open_browser(folder):
    """A driver of chromium that keeps its profile in `folder`."""
    webdriver = pytest.importorskip(
        "selenium.webdriver", reason="needs python3-selenium")
    from selenium.webdriver.chrome.service import Service
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("needs chromium and chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu",
                     "--disable-dev-shm-usage", "--window-size=1100,750",
                     f"--user-data-dir={folder}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    return webdriver.Chrome(service=Service(driver), options=options)
