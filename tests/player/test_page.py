"""The page, opened in a browser, in real time and in simulated time."""

import base64
import hashlib
import html.parser
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import threading
import time

import browsers
import numpy as np
import pytest
import random_generators
import scipy.signal
import small_models
import soundfile
from conftest import ROOT
from matplotlib.image import imread
from processes import free_ports
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.player import page, server
from wavegan_asmr.rendering.settings import RenderSettings

SIMULATION = (pathlib.Path(__file__).parent / "simulation.js").read_text()
RATE_HZ = 22050
"""The highest of the models'."""

CEILING = 10 ** (-3 / 20)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Paths of three small models."""
    return small_models.make(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def night(models, tmp_path_factory):
    """A page of them, a file."""
    path = tmp_path_factory.mktemp("page") / "night.html"
    page.write(models, path)
    return path


@pytest.fixture(scope="module")
def storms(tmp_path_factory):
    """Two pages of a model that listens: one that begins with nothing held, and one with a label and a fader."""
    folder = tmp_path_factory.mktemp("storms")
    model = small_models.make(folder, ["storm"])
    page.write(model, folder / "storm.html")
    page.write(model, folder / "gusts.html", asked=RenderSettings(label="gusts", intensity="0.9"))
    return folder / "storm.html", folder / "gusts.html"


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    """The folder in which the browser saves files."""
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(tmp_path_factory, downloads):
    """A browser that notes what it complains of and what it asks for."""
    with browsers.chromium(tmp_path_factory.mktemp("browser"), downloads) as driver:
        driver.set_script_timeout(100)
        yield driver


@pytest.fixture
def before_page(browser):
    """Function: has a script run in every page before the page's own."""
    added = []

    def add(script):
        command = "Page.addScriptToEvaluateOnNewDocument"
        added.append(browser.execute_cdp_cmd(command, {"source": script})["identifier"])

    yield add
    for identifier in added:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", {"identifier": identifier})


def show(browser, path, seed=7, width=1280, keeps_settings=False):
    """Opens a page, as if for the first time, and waits until it has read its models."""
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    url = path if str(path).startswith("http") else pathlib.Path(path).as_uri()
    # An address that differs in its seed alone would be the same page.
    browser.get("about:blank")
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(f"{url}#seed={seed}")
    if not keeps_settings:
        browser.execute_script("localStorage.clear()")
        browser.refresh()
    WebDriverWait(browser, 60).until(lambda _: is_ready(browser))


def is_ready(browser):
    return browser.execute_script("return 'player' in window || document.querySelector('#status.wrong') !== null")


def simulate(browser, seconds, steps="{}", every_s=3, models=3, enough_s=10):
    """Has the page play so many seconds in simulated time; the steps are JavaScript, second -> function."""
    browser.execute_script(SIMULATION)
    browser.execute_script("simulate(arguments[0], arguments[1])", seconds, models)
    click(browser, "#play")
    script = f"""
const done = arguments[arguments.length - 1];
render({every_s}, {steps}, {enough_s}).then(() => done(null), (error) => done(String(error.stack)));
"""
    assert browser.execute_async_script(script) is None
    # What the audio thread has said last has come by the next turn.
    time.sleep(0.1)


def levels(browser, stretch_s):
    """Levels of the mix and of each model, dB: `[1 + models, stretches]`."""
    return np.array(browser.execute_script("return levels(arguments[0])", stretch_s))


def samples(browser, output):
    """What an output was, float32 `[frames, 2]`; output 0 is the mix."""
    sides = [browser.execute_script("return samples(arguments[0])", 2 * output + side) for side in range(2)]
    return np.stack([np.frombuffer(base64.b64decode(side), np.float32) for side in sides], axis=1)


def engine(browser, attribute):
    return browser.execute_script(f"return player.page.engine.{attribute}")


def find(browser, selector):
    return browser.find_element(By.CSS_SELECTOR, selector)


def click(browser, selector):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", find(browser, selector))
    find(browser, selector).click()


def text_of(browser, selector):
    return find(browser, selector).get_attribute("textContent").strip()


def wait_for_text(browser, selector, text):
    WebDriverWait(browser, 60).until(lambda _: text in text_of(browser, selector), text)


def complaints(browser):
    """What the browser has to say of the page, violations of its policy too."""
    return [entry["message"] for entry in browser.get_log("browser")]


def asked_for(browser):
    """Addresses that were asked for since the page was opened."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]


# Quick ones: a mixer in simulated time, the page in real time, a page that is damaged.


def test_the_mixer_moves_what_it_names_and_the_timer_ends_in_silence(browser, night):
    show(browser, night)
    steps = """{
        0: () => {
            window.recorded = [];
            player.page.engine.addEventListener("recorded", ({ detail }) => recorded.push(detail));
        },
        6: () => moveTo("#channels li:nth-child(1) input", -12),
        12: () => document.querySelector("#channels li:nth-child(2) .mute").click(),
        18: () => document.querySelector("#channels li:nth-child(3) .solo").click(),
        24: () => moveTo("#volume", -6),
        30: () => {
            player.page.engine.record(4);
            player.page.engine.setFadeOut(3);
            player.page.engine.setTimer(6);
        },
    }"""
    simulate(browser, 39, steps)
    mix, rain, fire, birds = levels(browser, 3)
    before = slice(0, 2)
    np.testing.assert_allclose(rain[2:6] - rain[before].mean(), -12, atol=1.5)
    np.testing.assert_allclose(fire[:4], fire[before].mean(), atol=1.5)
    assert (fire[5:] == -200).all() and (rain[7:] == -200).all()
    np.testing.assert_allclose(birds[:12], birds[before].mean(), atol=1.5)
    # After the fade-in, the sum of what is unrelated.
    expected = 10 * np.log10(sum(10 ** (each[2:8] / 10) for each in (rain, fire, birds)))
    np.testing.assert_allclose(mix[2:8], expected, atol=0.7)
    np.testing.assert_allclose(mix[8:10] - birds[8:10], [-6, -6], atol=0.3)
    # Three seconds as before, three that fade, and nothing.
    assert abs(mix[10] - birds[10] + 6) < 0.3 and -12 < mix[11] - birds[11] + 6 < -2
    assert mix[12] < -120
    assert not samples(browser, 0)[37 * RATE_HZ :].any() and not samples(browser, 3)[37 * RATE_HZ :].any()
    assert engine(browser, "state") == "ended" and "ended" in text_of(browser, "#status")
    assert engine(browser, "underruns") == [0, 0, 0]

    parts = browser.execute_script("return recorded.map(({ samples, isLast }) => [Array.from(samples), isLast])")
    assert [is_last for _, is_last in parts] == [False] * 3 + [True]
    recorded = np.concatenate([part for part, _ in parts]).reshape(-1, 2)
    heard = samples(browser, 0)[30 * RATE_HZ :][: 4 * RATE_HZ]
    assert len(recorded) == 4 * RATE_HZ
    # The step that began it waited for the next block. Dither is 1, rounding 0.5.
    shift = int(np.argmin([np.abs(recorded[:500] - 32767 * heard[k : k + 500]).max() for k in range(400)]))
    assert np.abs(recorded[:-400] - 32767 * heard[shift:][: len(recorded) - 400]).max() <= 1.51


def test_the_page_by_itself(browser, night, downloads):
    show(browser, night)
    assert browser.title == "rain, fire and birds" and text_of(browser, "#status") == ""
    check_names(browser)
    assert engine_is_absent(browser), "nothing is made before it is wanted"
    click(browser, "#record")
    click(browser, "h1")
    browser.switch_to.active_element.send_keys(" ")
    wait_for_text(browser, "#status", "Playing")
    assert find(browser, "#play").get_attribute("aria-label") == "Pause"
    browser.execute_script("document.querySelector('#channels .far').click()")
    find(browser, "#channels li:nth-child(2) input").send_keys(Keys.ARROW_LEFT * 3)
    find(browser, "#timer").send_keys("1 hour")
    wait_for_text(browser, "#remaining", "Silence in 59:")
    WebDriverWait(browser, 60).until(lambda _: picture(browser).std() > 2)
    long_enough = re.compile(r"0:(0[2-9]|[1-5]\d) of 10:00")
    WebDriverWait(browser, 60).until(lambda _: long_enough.fullmatch(text_of(browser, "#recorded")))
    click(browser, "#record")
    saved = downloads / "rain-fire-birds-seed-7.wav"
    WebDriverWait(browser, 60).until(lambda _: saved.exists())
    sound, rate_hz = soundfile.read(saved)
    assert rate_hz == RATE_HZ and 2 * RATE_HZ <= len(sound) < 60 * RATE_HZ and sound.std() > 1e-3
    assert "PCM_16" in str(soundfile.info(saved))

    # The body has the focus no longer: space is the fader's, which has no use for it.
    find(browser, "#volume").send_keys(" ")
    wait_for_text(browser, "#status", "Paused")
    WebDriverWait(browser, 60).until(lambda _: engine(browser, "_context.state") == "suspended")
    click(browser, "#new-seed")
    assert engine(browser, "underruns") == [0, 0, 0]
    seed = find(browser, "#seed").get_attribute("value")
    assert browser.current_url.endswith(f"#seed={seed}") and seed != "7"
    assert complaints(browser) == []
    urls = asked_for(browser)
    assert urls[0].startswith(night.as_uri())
    assert all(url.startswith(("data:", "blob:", night.as_uri())) for url in urls)

    browser.get(night.as_uri())
    WebDriverWait(browser, 60).until(lambda _: is_ready(browser))
    assert find(browser, "#channels li:nth-child(2) input").get_attribute("aria-valuetext") == "\u22123 dB"
    assert find(browser, "#timer").get_attribute("value") == "60"
    assert find(browser, "#seed").get_attribute("value") == seed


def engine_is_absent(browser):
    return browser.execute_script("return player.page.engine === null")


def picture(browser):
    """The pixels of the first spectrogram, an array."""
    script = "const c = document.querySelector('canvas'); return c.toDataURL('image/png')"
    return 255 * imread(io.BytesIO(base64.b64decode(browser.execute_script(script).split(",")[1])))


def check_names(browser):
    """All that can be operated is reached and has a name of its own, as a screen reader tells it."""
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    operated = {"button", "slider", "spinbutton", "combobox"}
    found = [
        (node["role"]["value"], node["name"]["value"])
        for node in nodes
        if node.get("role", {}).get("value") in operated
    ]
    assert len(found) == len(set(found)) and all(name for _, name in found)
    assert ("slider", "Volume of rain") in found and ("button", "Something else: birds") in found
    assert {role: [each for each, _ in found].count(role) for role in operated} == {
        "button": 4 + 3 * 4,
        "slider": 4,
        "spinbutton": 4,
        "combobox": 1,
    }
    assert browser.execute_script("return [...document.querySelectorAll('[tabindex]')].length") == 0


def test_a_damaged_model_is_named_and_the_others_play_as_before(browser, night, tmp_path):
    show(browser, night)
    simulate(browser, 6)
    whole = [samples(browser, output) for output in range(4)]
    text = night.read_text()
    at = text.index('id="weights-0">') + 5000
    damaged = tmp_path / "damaged.html"
    damaged.write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :])
    show(browser, damaged)
    said = text_of(browser, "#channels li:nth-child(1) .said")
    assert said.startswith("rain cannot be played: it is damaged in this page")
    simulate(browser, 6)
    assert text_of(browser, "#status") == "Playing" and engine(browser, "underruns") == [0, 0, 0]
    assert not samples(browser, 1).any()
    for output in (2, 3):
        assert whole[output].any()
        np.testing.assert_array_equal(samples(browser, output), whole[output])
    assert complaints(browser) == []


LABEL, INTENSITY, BRIGHTNESS = ".asked select", ".fader:nth-of-type(1) input", ".fader:nth-of-type(2) input"


def test_labels_and_faders(browser, storms):
    storm, gusts = storms
    show(browser, storm)
    nodes = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    found = [(node["role"]["value"], node["name"]["value"]) for node in nodes if "role" in node and "name" in node]
    for operated in (
        ("combobox", "Label of storm"),
        ("slider", "Intensity of storm"),
        ("slider", "Brightness of storm"),
        ("button", "Intensity as it comes: storm"),
        ("button", "Brightness as it comes: storm"),
    ):
        assert found.count(operated) == 1
    options = browser.execute_script(f"return [...document.querySelector('{LABEL}').options].map(({{ text }}) => text)")
    assert options == ["as in the recordings", "drops", "gusts", "waves"]
    assert asked(browser) == ["", "as it comes", "as it comes"]

    # By keys, while nothing plays; and in time, while it plays.
    find(browser, LABEL).send_keys("gusts")
    find(browser, INTENSITY).send_keys(Keys.END, Keys.ARROW_LEFT * 10)
    assert asked(browser) == ["1", "90 %", "as it comes"]
    simulate(browser, 12, models=1)
    chosen = samples(browser, 1)
    assert complaints(browser) == []
    browser.get(storm.as_uri())
    WebDriverWait(browser, 60).until(lambda _: is_ready(browser))
    assert asked(browser) == ["1", "90 %", "as it comes"], "it is kept"
    click(browser, ".fader:nth-of-type(1) button")
    assert asked(browser) == ["1", "as it comes", "as it comes"]

    show(browser, gusts)
    assert asked(browser) == ["1", "90 %", "as it comes"]
    simulate(browser, 12, models=1)
    np.testing.assert_array_equal(samples(browser, 1), chosen)
    show(browser, storm)
    steps = f"""{{6: async () => {{
        moveTo("{LABEL}", 1);
        for (const place of [10, 50, 90]) moveTo("{INTENSITY}", place);
        await new Promise((resolve) => setTimeout(resolve, 600));
    }}}}"""
    simulate(browser, 24, steps, models=1)
    assert "moment" in text_of(browser, ".said")
    changed = samples(browser, 1)
    assert engine(browser, "underruns") == [0] and complaints(browser) == []
    show(browser, storm)
    simulate(browser, 24, models=1)
    plain = samples(browser, 1)
    assert np.abs(plain[: len(chosen)] - chosen).max() > 0.01
    rate_hz = 16000
    np.testing.assert_array_equal(changed[: 6 * rate_hz], plain[: 6 * rate_hz])
    # Within seconds it is what was chosen.
    late, before, held = (spectrum_db(each) for each in (changed[14 * rate_hz :], plain[: 6 * rate_hz], chosen))
    assert np.abs(late - held).mean() < 0.2 * np.abs(before - held).mean()
    # No click and no hole, wherever it goes over.
    largest = max(np.abs(np.diff(each, axis=0)).max() for each in (plain, chosen))
    assert np.abs(np.diff(changed, axis=0)).max() < 1.5 * largest
    powers = (changed[rate_hz:][: 22 * rate_hz].reshape(44, -1) ** 2).mean(axis=1)
    assert powers.min() > 0.02 * np.median(powers)


def spectrum_db(x):
    """Levels of bands of the mean of both channels."""
    _, power = scipy.signal.welch(x.mean(axis=1), nperseg=256)
    return 10 * np.log10(power[1:-1])


def asked(browser):
    """What the page shows of the first model: the value of its label, and what a screen reader says of its faders."""
    label = find(browser, LABEL).get_attribute("value")
    return [label, *(find(browser, each).get_attribute("aria-valuetext") for each in (INTENSITY, BRIGHTNESS))]


# The file.


class Elements(html.parser.HTMLParser):
    """The script elements of a page, id -> (attributes, text), as a browser parses them."""

    def __init__(self, text):
        super().__init__()
        self.found, self._open = {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        if tag == "script":
            self._open = dict(attrs)
            self.found[self._open.get("id", "page")] = (self._open, "")

    def handle_data(self, data):
        if self._open is not None:
            attributes, text = self.found[self._open.get("id", "page")]
            self.found[self._open.get("id", "page")] = (attributes, text + data)

    def handle_endtag(self, tag):
        self._open = None


def test_what_is_put_in_is_what_comes_out():
    names = ["</script><script>alert(1)</script>", "<!-- models -->", "rain", "rain", "\u2028 {page} $& \udce9"]
    weights = [bytes(range(k, 200)) for k in range(5)]
    text = page.fill([({"name": name, "step": k}, data) for k, (name, data) in enumerate(zip(names, weights))]).decode()
    found = Elements(text).found
    assert set(found) == {"models", *(f"weights-{k}" for k in range(5)), "kernel", "worklet", "worker", "page"}
    headers = json.loads(found["models"][1])
    assert [header["name"] for header in headers] == [*names[:3], "rain 2", names[4]]
    assert [header["step"] for header in headers] == list(range(5))
    for k, data in enumerate(weights):
        attributes, base = found[f"weights-{k}"]
        assert attributes["type"] == "text/plain" and base64.b64decode(base, validate=True) == data
        assert headers[k]["sha256"] == hashlib.sha256(data).hexdigest()


def test_the_policy_names_what_is_there():
    text = (ROOT / "wavegan_asmr" / "player" / "player.html").read_text()
    policy = re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[1]
    for part in (Elements(text).found["page"][1], re.search(r"<style>(.*?)</style>", text, re.DOTALL)[1]):
        assert f"'sha256-{base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()}'" in policy
    assert policy.startswith("default-src 'none'; ") and "unsafe-inline" not in policy and "'unsafe-eval'" not in policy
    assert "http" not in policy and "*" not in policy


def test_the_page_is_built_from_its_sources(tmp_path):
    copy = tmp_path / "player"
    shutil.copytree(ROOT / "player", copy, ignore=shutil.ignore_patterns("node_modules"))
    new = tmp_path / "new.html"
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build", "--", str(new)]):
        process = subprocess.run(
            ["npm", *arguments], cwd=copy, capture_output=True, text=True, timeout=300, check=False
        )
        assert process.returncode == 0, process.stdout + process.stderr
    is_same = new.read_bytes() == (ROOT / "wavegan_asmr" / "player" / "player.html").read_bytes()
    assert is_same, "make player"
    assert sorted(os.listdir(tmp_path)) == ["new.html", "player"]


def test_files_are_whole_or_not_there(models, night, tmp_path, monkeypatch):
    out = tmp_path / "night.html"
    out.write_text("mine")
    with pytest.raises(UserError, match="overwrite"):
        page.write(models, out)
    with pytest.raises(UserError, match=r"no config\.json"):
        page.write([tmp_path / "nothing"], out, overwrite=True)
    assert out.read_text() == "mine" and os.listdir(tmp_path) == ["night.html"]
    page.write(models, out, overwrite=True)
    # The same models, the same bytes.
    assert out.read_bytes() == night.read_bytes() and os.listdir(tmp_path) == ["night.html"]


@pytest.fixture
def listening(storms):
    """The path of a model that listens."""
    return str(storms[0].parent / "storm")


def headers_of(text):
    return json.loads(Elements(text).found["models"][1])


@pytest.mark.parametrize(
    ("asked", "label", "measures"),
    [
        ({"label": "gusts"}, [0, 1, 0], [None, None]),
        ({"label": "#0:1,waves:3", "brightness": "0"}, [0.25, 0, 0.75], [None, 0]),
        ({"intensity": "0.3"}, None, [0.3, None]),
    ],
)
def test_what_a_page_begins_with(listening, tmp_path, verb, asked, label, measures):
    flags = [f"--{name}={text}" for name, text in asked.items()]
    verb("export", listening, "--format=web", f"--out={tmp_path / 'storm.html'}", *flags)
    (header,) = headers_of((tmp_path / "storm.html").read_text())
    assert header["begin"] == {"label": label, "measures": measures}


def test_what_a_page_of_measures_alone_begins_with(tmp_path):
    config = Config(
        data_slice_len=4096,
        data_sample_rate=16000,
        wavegan_dim=2,
        wavegan_latent_dim=10,
        data_conditions=("brightness", "level"),
    )
    path = random_generators.share(tmp_path / "storm", config)
    (header,) = headers_of(page.build([path], asked=RenderSettings(intensity="0.7")).decode())
    assert header["begin"] == {"label": None, "measures": [None, 0.7]} and header["labels"] == header["shares"] == []
    assert header["measures"] == ["brightness", "intensity"]


def test_what_a_page_cannot_begin_with(models, listening, tmp_path, verb, monkeypatch):
    monkeypatch.setattr(page, "_pack", lambda *arguments: pytest.fail("the models were packed"))
    out = f"--out={tmp_path / 'storm.html'}"
    for paths, flags, words in (
        (
            [listening],
            ["--label=hail"],
            "must be one that the model has learned: #0 drops, #1 gusts, #2 waves",
        ),
        ([listening], ["--label=gusts; waves"], "--label of a page must be one label or mix, which is held"),
        ([listening], ["--label=0=gusts; 60=waves"], "--label of a page must be one label or mix, which is held"),
        (
            [listening],
            ["--intensity=0:0.2,600:0.9"],
            "--intensity of a page must be a number from 0 to 1, which is held",
        ),
        ([listening], ["--brightness=curve.csv"], r"--brightness of a page must be .* Received: 'curve\.csv'"),
        ([listening], ["--intensity=1.2"], "--intensity of a page must be a number from 0 to 1"),
        ([listening], ["--intensity=nan"], "--intensity of a page must be a number from 0 to 1"),
        (
            [listening, models[0]],
            ["--label=gusts"],
            "--label needs a model that has learned labels, and .*rain",
        ),
        (
            models[:1],
            ["--intensity=0.5"],
            "--intensity needs a model that has learned it, with --data",
        ),
    ):
        for call in (["export", *paths, "--format=web", out], ["play", *paths, "--noopen"]):
            with pytest.raises(UserError, match=words) as error:
                verb(*call, *flags)
            assert "\n" not in str(error.value)
    with pytest.raises(UserError, match="--label has an effect with --format web alone"):
        verb("export", listening, "--format=onnx", f"--out={tmp_path / 'a.onnx'}", "--label=gusts")
    assert os.listdir(tmp_path) == []


def test_nothing_asked_is_the_page_as_it_was(listening, tmp_path, verb):
    verb("export", listening, "--format=web", f"--out={tmp_path / 'storm.html'}", "--label=")
    assert (tmp_path / "storm.html").read_bytes() == page.build([listening])


@pytest.mark.parametrize("name", ["night.htm", "night", "night.html.txt", "", "folder.html", "nowhere/night.html"])
def test_names_that_cannot_be(models, tmp_path, monkeypatch, name):
    (tmp_path / "folder.html").mkdir()
    monkeypatch.setattr(page, "build", lambda *arguments: pytest.fail("the models were packed"))
    with pytest.raises(UserError) as error:
        page.write(models, os.path.join(tmp_path, name))
    assert "\n" not in str(error.value) and os.listdir(tmp_path) == ["folder.html"]


# At length.


@pytest.mark.slow
def test_a_quarter_of_an_hour_without_a_gap_and_then_silence(browser, night):
    show(browser, night)
    find(browser, "#timer").send_keys("15 minutes")
    simulate(browser, 930, every_s=6, models=0)
    (mix,) = levels(browser, 10)
    assert engine(browser, "underruns") == [0, 0, 0] and engine(browser, "state") == "ended"
    # Of fourteen minutes after the fade-in; then a minute that fades, the page's default.
    np.testing.assert_allclose(mix[1:84], np.median(mix), atol=3)
    assert (np.diff(mix[84:90]) < 1).all() and mix[89] < mix[84] - 15
    assert (mix[91:] == -200).all()
    sound = samples(browser, 0)[RATE_HZ * 5 : RATE_HZ * 830]
    # Half a second is never silent, and no sample jumps farther than this noise does.
    rms = np.sqrt((sound[: len(sound) // 11025 * 11025].reshape(-1, 11025 * 2) ** 2).mean(axis=1))
    assert rms.min() > 0.3 * np.median(rms)
    assert complaints(browser) == []


@pytest.mark.slow
def test_the_same_seed_is_the_same_sound(browser, night):
    runs = []
    for seed in (7, 7, 8):
        show(browser, night, seed=seed)
        simulate(browser, 9)
        runs.append([samples(browser, output) for output in range(4)])
    for first, again, other in zip(*runs):
        np.testing.assert_array_equal(first, again)
        assert np.abs(first - other).max() > 0.01
    show(browser, night, seed=8)
    simulate(browser, 15, "{3: () => { location.hash = 'seed=7'; }}")
    assert find(browser, "#seed").get_attribute("value") == "7"
    # It has begun with 8, and goes over to the beginning of 7 within seconds.
    for first, other, changed in zip(runs[0][1:], runs[2][1:], [samples(browser, output) for output in range(1, 4)]):
        np.testing.assert_array_equal(changed[: 3 * RATE_HZ], other[: 3 * RATE_HZ])
        piece = first[3 * RATE_HZ : 4 * RATE_HZ, 0]
        found = scipy.signal.correlate(changed[5 * RATE_HZ :, 0], piece, "valid").max() / np.dot(piece, piece)
        assert found == pytest.approx(1, abs=0.01)
    assert engine(browser, "underruns") == [0, 0, 0]


@pytest.mark.slow
def test_more_like_this_and_something_else(browser, night):
    runs = []
    for clicks in ("", "at(1, '.near'); at(2, '.far')"):
        show(browser, night)
        browser.execute_script(
            "window.at = (n, of) => document.querySelector(`#channels li:nth-child(${n}) ${of}`).click()"
        )
        simulate(browser, 24, f"{{6: () => {{ {clicks} }}}}")
        assert engine(browser, "underruns") == [0, 0, 0]
        runs.append([samples(browser, output) for output in range(1, 4)])
        if clicks:
            assert text_of(browser, "#channels li:nth-child(1) .said") == "More like this, in a moment."
    then, later = 6 * RATE_HZ, 12 * RATE_HZ
    for number, (plain, steered) in enumerate(zip(*runs)):
        np.testing.assert_array_equal(steered[:then], plain[:then])
        difference = np.abs(steered[later:] - plain[later:]).max()
        assert (difference == 0) == (number == 2), "birds were not asked for"
        # No click and no hole, wherever it goes over.
        assert np.abs(np.diff(steered, axis=0)).max() < 1.5 * np.abs(np.diff(plain, axis=0)).max()
        powers = (steered[RATE_HZ:][: 22 * RATE_HZ].reshape(44, -1) ** 2).mean(axis=1)
        assert powers.min() > 0.2 * np.median(powers)


@pytest.mark.slow
def test_pauses_and_interruptions(browser, night):
    show(browser, night)
    click(browser, "#play")
    wait_for_text(browser, "#status", "Playing")
    browser.execute_script("player.page.engine._context.suspend()")
    wait_for_text(browser, "#status", "interrupted")
    assert find(browser, "#play").get_attribute("aria-label") == "Play"
    click(browser, "#play")
    wait_for_text(browser, "#status", "Playing")
    for _ in range(5):
        # Quicker than the fade of a pause.
        click(browser, "#play")
    wait_for_text(browser, "#status", "Paused")
    WebDriverWait(browser, 60).until(lambda _: engine(browser, "_context.state") == "suspended")
    time.sleep(1)
    assert text_of(browser, "#status") == "Paused" and engine(browser, "_context.state") == "suspended"
    click(browser, "#play")
    wait_for_text(browser, "#status", "Playing")
    assert engine(browser, "underruns") == [0, 0, 0] and complaints(browser) == []
    late = "const { engine } = player.page; engine.underruns = [0, 1, 2]; engine.dispatchEvent(new Event('status'))"
    browser.execute_script(late)
    said = [text_of(browser, f"#channels li:nth-child({k}) .said").split(":")[0] for k in (1, 2, 3)]
    assert said == ["", "One gap", "2 gaps"]


@pytest.mark.slow
def test_the_page_is_the_same_when_it_is_served(browser, night):
    with server.listen("127.0.0.1", *free_ports(1)) as listening:
        listening.show(night.read_bytes())
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        try:
            show(browser, listening.url)
            click(browser, "#play")
            wait_for_text(browser, "#status", "Playing")
            assert all(url.startswith(("data:", "blob:", listening.url)) for url in asked_for(browser))
            assert complaints(browser) == []
        finally:
            listening.shutdown()
            thread.join()


@pytest.mark.slow
def test_it_lets_nothing_in(browser, night, tmp_path):
    intruders = (
        '<script>document.title = "run"</script><img src="http://127.0.0.1:9/x.png"><p style="color: red">red</p>'
        '<form action="http://127.0.0.1:9/"><button id="send">send</button></form></main>'
    )
    path = tmp_path / "index.html"
    path.write_text(night.read_text().replace("</main>", intruders))
    show(browser, path)
    click(browser, "#send")
    refused = complaints(browser)
    assert len(refused) >= 4 and all("Content Security Policy" in message for message in refused)
    assert browser.title == "rain, fire and birds" and browser.current_url.startswith(path.as_uri())


@pytest.mark.slow
@pytest.mark.parametrize(
    "lacking, said",
    [
        ("delete window.AudioWorkletNode", "no AudioWorklet. Use a newer"),
        ("delete window.AudioContext", "no AudioWorklet. Use a newer"),
        ("delete window.Worker", "no Worker. Use a newer"),
        ("Object.defineProperty(window, 'isSecureContext', { value: false })", "only from localhost, from https"),
    ],
)
def test_browsers_that_cannot(browser, before_page, night, lacking, said):
    before_page(lacking)
    show(browser, night)
    assert said in text_of(browser, "#status") and not find(browser, "#play").is_enabled()
    assert complaints(browser) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "lacking",
    [
        "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('no', 'SecurityError'); } })",
        "delete navigator.__proto__.mediaSession",
        "delete window.WebAssembly",
    ],
)
def test_browsers_that_can_do_without(browser, before_page, night, lacking):
    before_page(lacking)
    show(browser, night, keeps_settings=True)
    click(browser, "#play")
    wait_for_text(browser, "#status", "Playing")
    assert complaints(browser) == []


def damage(header, weights, **changes):
    """A page of a whole model and of one that is changed."""
    return page.fill([(header | {"name": "rain"}, weights), (header | {"name": "fire"} | changes, weights)]).decode()


@pytest.mark.slow
def test_what_is_wrong_with_a_model_is_said_and_the_other_plays(browser, night, tmp_path):
    found = Elements(night.read_text()).found
    header = json.loads(found["models"][1])[0]
    weights = base64.b64decode(found["weights-0"][1])
    nan = np.frombuffer(weights, "<f2").copy()
    nan[100] = np.nan
    pages = {
        "its rate is missing": damage(header, weights, sample_rate_hz="fast"),
        "weights instead of": page.fill([(header, weights), (header | {"name": "fire"}, weights[:-2])]).decode(),
        "not numbers": page.fill([(header, weights), (header | {"name": "fire"}, nan.tobytes())]).decode(),
        "fire cannot be played": damage(header, weights, layers=None),
        "none of 200 pieces": damage(header, weights, accept=header["accept"] | {"allowed_db": -1.0}),
    }
    for words, text in pages.items():
        path = tmp_path / "page.html"
        path.write_text(text)
        show(browser, path)
        click(browser, "#play")
        wait_for_text(browser, "#channels li:nth-child(2) .said", words)
        wait_for_text(browser, "#status", "Playing")
        assert text_of(browser, "#channels li:nth-child(1) .said") == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    "change, said",
    [
        (lambda text: text.replace('id="models">[', 'id="models">'), "its models cannot be read"),
        (lambda text: re.sub(r'(id="weights-\d">)', r"\1A", text), "None of the models"),
        (lambda text: re.sub(r'<script type="application/json".*?</script>', "", text), "no model in this page"),
    ],
)
def test_pages_of_which_nothing_is_left(browser, night, tmp_path, change, said):
    path = tmp_path / "page.html"
    path.write_text(change(night.read_text()))
    show(browser, path)
    wait_for_text(browser, "#status", said)
    assert not find(browser, "#play").is_enabled() and complaints(browser) == []


@pytest.mark.slow
def test_odd_settings_that_are_kept(browser, night):
    show(browser, night)
    odd = [
        "null",
        "[]",
        "{",
        '"text"',
        '{"channels": 3, "volumeDb": "loud", "fadeInS": -1, "timerMinutes": 7, "seed": 1e99}',
        '{"channels": [{"gainDb": null, "isMuted": "yes"}, null, 4], "recordMinutes": 1e9, "seed": "0x10"}',
    ]
    key = browser.execute_script("return Object.keys(localStorage)")
    assert len(key) == 1
    for text in odd:
        browser.execute_script("localStorage.setItem(arguments[0], arguments[1])", key[0], text)
        browser.get("about:blank")
        browser.get(night.as_uri())
        WebDriverWait(browser, 60).until(lambda _: is_ready(browser))
        for selector, value in {"#volume": "0", "#fade-in": "4", "#timer": "0", "#minutes": "10"}.items():
            assert find(browser, selector).get_attribute("value") == value, text
        assert find(browser, "#seed").get_attribute("value").isdecimal()
        assert browser.execute_script("return player.page._timerS") is None
        assert complaints(browser) == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2560])
def test_nothing_is_cut_off(browser, night, storms, width):
    for path in (night, storms[0]):
        show(browser, path, width=width)
        check_that_nothing_is_cut_off(browser, width)


def check_that_nothing_is_cut_off(browser, width):
    script = """
return [...document.querySelectorAll("main *")].filter((each) => {
  const { left, right, width } = each.getBoundingClientRect();
  return width > 1 && (left < 0 || right > innerWidth + 0.5);
}).map((each) => each.outerHTML.slice(0, 80));
"""
    assert browser.execute_script(script) == []
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.slow
def test_pictures_stand_still_for_those_who_want_it(browser, night):
    reduced = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", reduced)
    try:
        show(browser, night)
        click(browser, "#play")
        WebDriverWait(browser, 60).until(lambda _: picture(browser).std() > 2)
        first = picture(browser)
        time.sleep(1.5)
        changes = int((picture(browser) != first).any())
        # Once in five seconds it may have been this moment.
        if changes:
            first = picture(browser)
            time.sleep(1.5)
            changes = int((picture(browser) != first).any())
        assert not changes
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.slow
def test_odd_things_asked_that_are_kept(browser, storms):
    storm, gusts = storms
    own = {"label": gusts_begin(gusts)["label"], "measures": [0.9, None]}
    for path, stored, expected in (
        (storm, 3, ["", *FREE]),
        (storm, {"label": 7, "faders": "loud"}, ["", *FREE]),
        (storm, {"label": "mix", "faders": [2, None, 5]}, ["", *FREE]),
        (storm, {"label": "01", "faders": ["0.5", -1]}, ["", *FREE]),
        (storm, {"label": 2, "faders": [0.25]}, ["2", "25 %", "as it comes"]),
        # What a page begins with goes before what was kept of another one.
        (gusts, {"label": "2", "faders": [0.25, None]}, ["1", "90 %", "as it comes"]),
        (gusts, {"label": "2", "faders": [0.25, None], "begin": own}, ["2", "25 %", "as it comes"]),
    ):
        show(browser, path)
        script = """
const [key] = Object.keys(localStorage);
localStorage.setItem(key, JSON.stringify({ channels: [{ asked: arguments[0] }] }));
"""
        browser.execute_script(script, stored)
        browser.refresh()
        WebDriverWait(browser, 60).until(lambda _: is_ready(browser))
        assert asked(browser) == expected, stored
        click(browser, "#play")
        wait_for_text(browser, "#status", "Playing")
        assert text_of(browser, ".said") == "" and complaints(browser) == []


FREE = ["as it comes", "as it comes"]


def gusts_begin(path):
    (header,) = headers_of(path.read_text())
    return header["begin"]


@pytest.mark.slow
def test_a_mix_that_a_page_begins_with_is_a_choice_of_its_own(browser, listening, tmp_path):
    path = tmp_path / "mix.html"
    page.write([listening], path, asked=RenderSettings(label="drops:1,waves:3"))
    show(browser, path)
    options = browser.execute_script(f"return [...document.querySelector('{LABEL}').options].map(({{ text }}) => text)")
    assert options == ["as in the recordings", "drops 25 %, waves 75 %", "drops", "gusts", "waves"]
    assert asked(browser)[0] == "mix"
    assert browser.execute_script("return player.page._held(0)") == {"label": [0.25, 0, 0.75], "measures": [None, None]}
    find(browser, LABEL).send_keys("as in")
    assert browser.execute_script("return player.page._held(0)") == {"label": None, "measures": [None, None]}
    find(browser, LABEL).send_keys(Keys.END)
    assert browser.execute_script("return player.page._held(0)") == {"label": [0, 0, 1], "measures": [None, None]}


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 1280])
def test_many_labels(browser, tmp_path, width):
    names = (*(f"label {each} {'of a long name ' * 5}" for each in range(399)), "<b>&amp;</b></script> last")
    config = Config(
        data_slice_len=4096,
        data_sample_rate=16000,
        wavegan_dim=2,
        wavegan_latent_dim=10,
        label_names=names,
        label_shares=(1 / 400,) * 400,
        data_conditions=("brightness",),
    )
    path = tmp_path / "many.html"
    page.write([random_generators.share(tmp_path / "many", config)], path)
    show(browser, path, width=width)
    check_that_nothing_is_cut_off(browser, width)
    find(browser, LABEL).send_keys("<b>")
    assert find(browser, LABEL).get_attribute("value") == "399"
    click(browser, "#play")
    wait_for_text(browser, "#status", "Playing")
    assert text_of(browser, ".said") == "" and complaints(browser) == []
