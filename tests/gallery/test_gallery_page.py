"""The page of a gallery, in a browser."""

import json

import browsers
import pytest
from cases_to_show import make_model, make_training, write_sweep
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from wavegan_asmr.exchange import model_facts
from wavegan_asmr.gallery import making

pytestmark = pytest.mark.slow

ODD = 'a "b" <i>c & <title> \u00fc\u96e8'


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """A gallery of three: an odd name, a recording of 3 s, and one without a recording but with figures."""
    folder = tmp_path_factory.mktemp("gallery")
    (folder / "short").mkdir()
    write_sweep(folder / "short" / "short.wav", 3, 8000)
    (folder / "short" / "SOURCES").write_text("By <b>A</b>, CC0\n" + 30 * "a long text of a licence\n")
    odd = make_training(folder / "runs" / ODD, seed=1)
    short = make_training(folder / "runs" / "short", folder / "short", 2)
    model = make_model(folder / "model", 3, data_num_channels=2)
    metrics = [model_facts.Metric(name, 1.5, 1.0, 1e6, "what it says") for name in ("frechet_distance", "dc")]
    verdicts = [("dull", "the highs are missed"), ("repeats itself", "the same again")]
    model_facts.Facts(license="mit", n=500, metrics=metrics, verdicts=verdicts).write(model)
    making.make([odd, short, model], folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser that notes what it complains of and what it asks for."""
    with browsers.chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


def show(browser, out, width=1280, scheme="light", has_scripts=True):
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": not has_scripts})
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get((out / "index.html").as_uri())


def wait_for(browser, script):
    return WebDriverWait(browser, 60).until(lambda _: browser.execute_script(script))


def test_everything_is_there_and_nothing_else_is_asked_for(browser, out):
    show(browser, out)
    browser.execute_script("document.querySelectorAll('img').forEach(each => each.loading = 'eager')")
    wait_for(browser, "return [...document.images].every(each => each.complete && each.naturalWidth === 720)")
    wait_for(browser, "return [...document.querySelectorAll('audio')].every(each => each.readyState >= 1)")
    durations = browser.execute_script("return [...document.querySelectorAll('audio')].map(each => each.duration)")
    assert durations == pytest.approx([20, 3, 20, 20], abs=0.03)
    assert [each.text for each in browser.find_elements(By.TAG_NAME, "h2")][:3] == [ODD, "short", "model"]
    assert [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".none")] == 2 * ["No recording at hand"]
    assert [each.text for each in browser.find_elements(By.CSS_SELECTOR, ".verdicts strong")] == [
        "not measured",
        "not measured",
        "dull",
        "repeats itself",
    ]
    names = [each.accessible_name for each in browser.find_elements(By.TAG_NAME, "audio")]
    assert names[:2] == [f"{ODD}, generated", "short, recorded"]
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"}
    media = {path.as_uri() for path in (out / "media").iterdir()}
    assert {url for url in asked if not url.startswith("data:")} == {(out / "index.html").as_uri(), *media}


def test_a_sound_plays_to_its_end_by_keyboard(browser, out):
    show(browser, out)
    browser.execute_script("document.querySelector('#short audio').focus()")
    ActionChains(browser).send_keys(Keys.SPACE).perform()
    wait_for(browser, "return document.querySelector('#short audio').ended")
    assert browser.execute_script("return document.querySelector('#short audio').played.end(0)") > 2.9


def test_it_is_all_there_without_scripts(browser, out):
    show(browser, out, has_scripts=False)
    assert len(browser.find_elements(By.TAG_NAME, "audio")) == 4
    short = browser.find_element(By.ID, "short")
    assert "<b>A</b>" not in short.text
    # What is long is folded, and unfolds.
    short.find_element(By.CSS_SELECTOR, "dd summary").click()
    assert "By <b>A</b>, CC0\na long text" in short.text
    model = browser.find_element(By.ID, "model")
    assert "Fréchet distance 1.5, recordings 1, noise 1,000,000" in model.text and "Figure" not in model.text.split()
    model.find_element(By.CSS_SELECTOR, "section > details > summary").click()
    row = model.find_element(By.CSS_SELECTOR, "tbody tr").text
    assert row.split() == ["frechet_distance", "1.5", "1", "1,000,000", "what", "it", "says"]


@pytest.mark.parametrize("width", [320, 390, 800, 1280])
def test_nothing_is_wider_than_the_window(browser, out, width):
    show(browser, out, width)
    browser.execute_script("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    tops = browser.execute_script(
        "return [...document.querySelectorAll('#short figure')].map(each => each.getBoundingClientRect().top)"
    )
    assert (tops[0] == tops[1]) == (width >= 800)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_letters_stand_out(browser, out, scheme):
    """Contrast of at least 4.5 to 1 (WCAG AA)."""
    show(browser, out, scheme=scheme)
    pairs = browser.execute_script(
        """
        const ground = (each) => {
          const color = getComputedStyle(each).backgroundColor;
          return color !== "rgba(0, 0, 0, 0)" ? color : ground(each.parentElement);
        };
        const shown = "h1, h2, h3, p, a, dt, dd, summary, .facts, .none, th, td, small, .verdicts strong";
        return [...document.querySelectorAll(shown)].map((each) => [getComputedStyle(each).color, ground(each)]);
        """
    )
    lightness = {luminance(ground) > 0.5 for _, ground in pairs}
    assert lightness == {scheme == "light"}
    for color, ground in {tuple(pair) for pair in pairs}:
        low, high = sorted([luminance(color), luminance(ground)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, (color, ground)


def luminance(color):
    """Relative luminance of a color as CSS computes it, "rgb(31, 35, 40)"."""
    parts = [int(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
