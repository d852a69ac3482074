"""The page of a listening test, in a browser."""

import csv
import functools
import http.server
import json
import threading

import browsers
import numpy as np
import pytest
import soundfile
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from wavegan_asmr.listening_tests import making

pytestmark = pytest.mark.slow

ODD = 'a "b" <i>c</i> \\ \u00fc\u96e8\U0001f3a7, </script>'
"""A name that would break markup, scripts, CSV or YAML."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A test of two sounds, two trials and the control."""
    folder = tmp_path_factory.mktemp("test")
    random = np.random.default_rng(0)
    soundfile.write(folder / "a.wav", random.normal(0, 0.1, [44100 * 4, 2]), 44100)
    soundfile.write(folder / "b.wav", random.normal(0, 0.02, 16000 * 4), 16000)
    making.make({"recording": folder / "a.wav", ODD: folder / "b.wav"}, folder / "out", 2, 1.0, 3)
    return folder / "out"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """The folder in which the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    """A browser that notes what it complains of and what it asks for."""
    with browsers.chromium(tmp_path_factory.mktemp("browser"), downloads) as driver:
        yield driver


def show(browser, folder):
    """Opens the page as if for the first time."""
    browser.get((folder / "index.html").as_uri())
    browser.execute_script("localStorage.clear()")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.refresh()


def press(browser, *keys):
    ActionChains(browser).send_keys(*keys).perform()


def focused(browser):
    """What has the focus, as a screen reader names it."""
    return browser.switch_to.active_element.accessible_name


def text_of(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector).text


def wait_for(browser, condition):
    WebDriverWait(browser, 20).until(lambda _: condition())


def is_saved(path):
    """Whether a download is whole: until then the browser keeps its name by an empty file."""
    return path.exists() and path.stat().st_size > 0


def hear(browser, letter):
    """Plays the sound whose button has the focus, to its end."""
    assert focused(browser) == f"Play sound {letter}"
    press(browser, Keys.ENTER)
    assert focused(browser) == f"Stop sound {letter}"
    wait_for(browser, lambda: focused(browser) == f"Play sound {letter}")


def rate(browser, *keys):
    press(browser, Keys.TAB)
    press(browser, *keys)
    return int(browser.switch_to.active_element.get_property("value"))


def test_a_whole_test_by_keyboard_with_a_reload_in_the_middle(browser, folder, downloads, verb):
    show(browser, folder)
    press(browser, Keys.TAB)
    assert focused(browser) == "Begin"
    press(browser, Keys.ENTER)
    given, number = [], 0
    for trial in range(1, 4):
        assert browser.switch_to.active_element.text == f"Set {trial} of 3"
        rated = []
        for letter in "AB":
            press(browser, Keys.TAB)
            hear(browser, letter)
            number += 1
            # One of them is the middle, where the slider stands already.
            keys = [Keys.ENTER] if number == 4 else [Keys.HOME, *number * [Keys.ARROW_RIGHT]]
            rated.append((rate(browser, *keys), rate(browser, Keys.END, *number * [Keys.ARROW_LEFT])))
            name = "How much like the real thing?"
            assert focused(browser) == f"Naturalness of sound {letter}: {name}"
            if trial == 2 and letter == "A":
                browser.refresh()
                assert text_of(browser, "#trial h1") == "Set 2 of 3"
                assert text_of(browser, "fieldset:first-child .heard") == "heard"
                assert text_of(browser, "fieldset:first-child output") == f"{rated[0][0]}, bad"
                browser.execute_script("document.querySelectorAll('input')[1].focus()")
        given.append(rated)
        press(browser, Keys.TAB, Keys.ENTER)
    assert browser.switch_to.active_element.text == "Thank you"
    assert given[0] == [(1, 99), (2, 98)] and given[1] == [(3, 97), (50, 96)] and given[2] == [(5, 95), (6, 94)]

    name = text_of(browser, "#file")
    wait_for(browser, lambda: is_saved(downloads / name))
    saved = json.loads((downloads / name).read_text())
    ratings = [[(each["quality"], each["naturalness"]) for each in trial["ratings"]] for trial in saved["trials"]]
    assert ratings == given
    assert all(each["plays"] == 1 for trial in saved["trials"] for each in trial["ratings"])
    assert saved["seed"] == 3 and saved["sounds"] == ["recording", ODD]
    # What was what, by the clips themselves: one has a channel alone, and both are of noise, one band narrower.
    for trial in saved["trials"]:
        for each in trial["ratings"]:
            x, rate_hz = soundfile.read(folder / "clips" / f"{each['clip']}.wav")
            spectrum = np.abs(np.fft.rfft(x[:, 0])) ** 2
            high = spectrum[int(9000 * len(x) / rate_hz) :].sum() / spectrum.sum()
            assert each["sound"] == (ODD if high < 0.01 else "recording")
        assert trial["is_control"] == (len({each["sound"] for each in trial["ratings"]}) == 1)
    assert sum(trial["is_control"] for trial in saved["trials"]) == 1

    browser.find_element(By.CSS_SELECTOR, "#csv").send_keys(Keys.ENTER)
    table = downloads / name.replace(".json", ".csv")
    wait_for(browser, lambda: is_saved(table))
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file))
    pairs = [(int(row["quality"]), int(row["naturalness"])) for row in rows]
    assert pairs == [pair for rated in given for pair in rated]
    assert [row["sound"] for row in rows] == [each["sound"] for trial in saved["trials"] for each in trial["ratings"]]

    shown = browser.execute_script("return [...document.querySelectorAll('#means td')].map((each) => each.textContent)")
    analysed = verb("listen-test", "--analyse", downloads / name)
    for sound, *means in (shown[:3], shown[3:]):
        (row,) = [line for line in analysed.splitlines() if line.startswith(f"{sound}  ")]
        assert row.removeprefix(sound).split() == means
    assert "1 listener, 2 trials of 2 sounds each" in analysed and "control   the same sound was rated 1.0" in analysed

    browser.refresh()
    assert text_of(browser, "#file") == name
    browser.find_element(By.ID, "again").send_keys(Keys.ENTER)
    assert text_of(browser, "#welcome h1") == "Listening test" and not text_of(browser, "#file")
    assert browser.execute_script("return state.listener") != saved["listener"]

    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    allowed = {(folder / "index.html").as_uri(), *(path.as_uri() for path in (folder / "clips").iterdir())}
    assert {url for url in asked if not url.startswith(("blob:", "data:"))} == allowed


def test_a_trial_is_left_when_all_was_heard_and_rated(browser, folder):
    show(browser, folder)
    browser.find_element(By.ID, "begin").click()
    sliders = browser.find_elements(By.CSS_SELECTOR, "input")
    go_on = browser.find_element(By.ID, "next")

    def ask():
        go_on.click()
        return text_of(browser, "#status"), focused(browser)

    def play(number, until="heard"):
        button = browser.find_elements(By.CSS_SELECTOR, ".play")[number]
        button.click()
        place = browser.find_elements(By.CSS_SELECTOR, ".heard")[number]
        wait_for(browser, lambda: place.text == until)
        return button

    told, name = ask()
    assert told == "Before you go on, please listen to sound A to its end." and name == "Play sound A"
    # One that another one interrupts was not heard.
    play(0, "not heard yet")
    play(1)
    assert ask()[1] == "Play sound A"
    play(0)
    for k, wanted in enumerate(["Quality of sound A", "Naturalness of sound A", "Quality of sound B"]):
        told, name = ask()
        assert told == f"Before you go on, please rate the {wanted[0].lower()}{wanted[1:]}."
        assert name.startswith(wanted)
        # A click where the knob stands.
        sliders[k].click()
        shown = browser.find_elements(By.CSS_SELECTOR, "output")[k].text
        assert shown.endswith((", fair", ", in between")) and abs(int(shown.split(",")[0]) - 50) <= 1
    assert ask()[1].startswith("Naturalness of sound B")
    sliders[3].send_keys(Keys.END)
    go_on.click()
    assert text_of(browser, "#trial h1") == "Set 2 of 3"


def test_a_web_server_does_too(browser, folder):
    """One that cannot send parts of a file; each sound is played again."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            browser.get(f"http://127.0.0.1:{server.server_port}/")
            browser.get_log("browser")
            browser.find_element(By.ID, "begin").click()
            for _ in range(2):
                browser.execute_script("state.answers[0].clips[0].heard = false; players[0].showPlace()")
                browser.find_element(By.CSS_SELECTOR, ".play").click()
                wait_for(browser, lambda: text_of(browser, ".heard") == "heard")
            assert browser.execute_script("return state.answers[0].clips[0].plays") == 2
            assert browser.get_log("browser") == [] and not text_of(browser, "#problem")
        finally:
            server.shutdown()


def test_what_is_missing_is_said(browser, folder, tmp_path):
    copy = tmp_path / "alone"
    copy.mkdir()
    (copy / "index.html").write_bytes((folder / "index.html").read_bytes())
    show(browser, copy)
    browser.find_element(By.ID, "begin").click()
    wait_for(browser, lambda: "The folder clips must lie beside this page" in text_of(browser, "#problem"))
    browser.execute_script("Storage.prototype.setItem = () => { throw new Error('full'); }")
    browser.find_element(By.CSS_SELECTOR, "input").send_keys(Keys.END)
    assert "keeps nothing" in text_of(browser, "#problem")


@pytest.mark.parametrize("kept", ["null", "{", "[]", '{"answers": []}', '{"answers": [1, 2, 3], "trial": 1}'])
def test_what_others_have_kept_begins_anew(browser, folder, kept):
    show(browser, folder)
    key = browser.execute_script("return KEPT")
    browser.execute_script("localStorage.setItem(arguments[0], arguments[1])", key, kept)
    browser.refresh()
    assert text_of(browser, "#welcome h1") == "Listening test"
    browser.find_element(By.ID, "begin").click()
    assert text_of(browser, "#trial h1") == "Set 1 of 3"
