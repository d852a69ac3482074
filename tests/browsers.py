"""A browser for tests of pages."""

import contextlib

from selenium import webdriver
from selenium.webdriver.chrome.service import Service

_SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
).split()


@contextlib.contextmanager
def chromium(profile, downloads=None):
    """Context that gives a driver of Chromium, which notes what the browser complains of and what it asks for.

    Args:
        profile: Path, a folder for what the browser keeps.
        downloads: Path of the folder in which it saves files, or None.
    """
    options = webdriver.ChromeOptions()
    for switch in _SWITCHES:
        options.add_argument(switch)
    options.add_argument(f"--user-data-dir={profile}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))
    try:
        if downloads:
            driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        yield driver
    finally:
        driver.quit()
