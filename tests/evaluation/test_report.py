"""The report, opened in a browser."""

import base64
import dataclasses
import io
import json
import math
import os
import pathlib
import resource
import time

import browsers
import numpy as np
import pytest
import soundfile
from matplotlib.image import imread
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from wavegan_asmr import storage
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.evaluation import results
from wavegan_asmr.evaluation.report import write_report
from wavegan_asmr.evaluation.results import Result, Row
from wavegan_asmr.sound import wav

SLICE_LEN, RATE_HZ = 4096, 16000


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """A browser that notes what it complains of and what it asks for."""
    with browsers.chromium(tmp_path_factory.mktemp("browser")) as driver:
        yield driver


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A result with all there is, its history and its page."""
    train_dir = tmp_path_factory.mktemp("train")
    result = make_result(train_dir)
    for step, frechet in ((100, 400.0), (200, 100.0), (300, 2.0)):
        rows = [dataclasses.replace(row, value=frechet) if k == 0 else row for k, row in enumerate(result.rows)]
        results.append_history(train_dir, dataclasses.replace(result, step=step, rows=rows))
    other = Row("inception_score", 4.0, 0.5, None, None, None, None, "classes", False)
    for step in (100, 200, 300, 400):
        # Of other recordings, so that it does not compare; and of a classifier.
        rows = [*result.rows, other]
        results.append_history(train_dir, dataclasses.replace(result, step=step, rows=rows, evaluation="other"))
    mark_best(train_dir, 200)
    return result, pathlib.Path(write_report(train_dir, result))


def make_result(train_dir, slice_len=SLICE_LEN, rate_hz=RATE_HZ, channels=1, clips=5, pairs=10, **changes):
    """A result of noise, not of a model; its clips all differ."""
    random = np.random.default_rng(0)

    def sounds(n):
        return (0.2 * random.standard_normal([n, slice_len, channels])).clip(-1, 1).astype(np.float32)

    config = Config(data_slice_len=slice_len, data_sample_rate=rate_hz, data_num_channels=channels)
    rows = [
        Row("frechet_distance", 2.0, 0.25, 2.0, 4.0, 800.0, 600.0, "difference in all", True),
        Row("ndb", 0.5, None, 0.25, None, 1.0, 0.75, "share of kinds", True),
        Row("rms_db", -20.0, 0.1, -22.0, -21.0, -20.0, -20.0, "level", None),
    ]
    facts = {
        "train_dir": str(train_dir),
        "step": 300,
        "checkpoint": "ckpt-300",
        "n": 1000,
        "embedding_version": 1,
        "evaluation": "this",
        "sample_rate_hz": rate_hz,
        "config": dataclasses.asdict(config),
        "rows": rows,
        "verdicts": [("noise without structure", "the distance is 3"), ("copies training data", "9 % are copies")],
        "clips": {kind: sounds(clips) for kind in ("real", "generated", "noise")},
        "pairs": [(0.5 + k / 10, *sounds(2)) for k in range(pairs)],
    }
    return Result(**facts | changes)


def mark_best(train_dir, step):
    """Makes best/ as `TrainDir.keep_best` leaves it."""
    best = train_dir / "best"
    best.mkdir()
    for ending in ("index", "data-00000-of-00001"):
        (best / f"ckpt-{step}.{ending}").touch()
    (best / "best.json").write_text(json.dumps({"step": step, "frechet_distance": 100.0, "evaluation": ""}))


def show(browser, path, width=1280, scheme="light"):
    """Opens a page and waits for its sounds."""
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get(pathlib.Path(path).as_uri())
    loaded = "return [...document.querySelectorAll('audio')].every(a => a.error || a.readyState >= 2)"
    WebDriverWait(browser, 60).until(lambda _: browser.execute_script(loaded))


def all_of(browser, selector):
    return browser.find_elements(By.CSS_SELECTOR, selector)


def text_of(browser, selector):
    return [element.get_attribute("textContent").strip() for element in all_of(browser, selector)]


def centre_of(browser, element, selector):
    """The horizontal middle of what is first found in an element, pixels."""
    box = "const box = arguments[0].querySelector(arguments[1]).getBoundingClientRect();"
    return browser.execute_script(f"{box} return box.x + box.width / 2", element, selector)


def sounds_of(browser):
    """The decoded data of the page's sounds: list of (samples, rate)."""
    sources = [element.get_attribute("src") for element in all_of(browser, "audio")]
    return [
        soundfile.read(io.BytesIO(base64.b64decode(s.split(",")[1])), dtype="int16", always_2d=True) for s in sources
    ]


def test_page_needs_nothing_but_itself(browser, whole):
    show(browser, whole[1])
    assert browser.get_log("browser") == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert asked[0] == whole[1].as_uri()
    assert all(url.startswith("data:") for url in asked[1:])
    assert not all_of(browser, "script, iframe, object, embed, link[rel=stylesheet]")


def test_page_lets_nothing_in(browser, whole, tmp_path):
    intruders = '<script>document.title = "run"</script><img src="http://127.0.0.1:9/x.png"></main>'
    path = tmp_path / "index.html"
    path.write_text(whole[1].read_text().replace("</main>", intruders))
    show(browser, path)
    refused = [entry["message"] for entry in browser.get_log("browser")]
    assert len(refused) == 2 and all("Content Security Policy" in message for message in refused)
    assert browser.title.startswith("Step 300")


def test_every_sound_plays_and_is_the_slice(browser, whole):
    result, path = whole
    show(browser, path)
    durations = browser.execute_script("return [...document.querySelectorAll('audio')].map(a => a.duration)")
    assert durations == pytest.approx([SLICE_LEN / RATE_HZ] * (3 * 5 + 2 * 10), rel=0.01)
    # Four slices of each kind, then the fifth of each, then the pairs.
    kinds = [result.clips[kind] for kind in ("real", "generated", "noise")]
    clips = [clip for part in (slice(0, 4), slice(4, 5)) for kind in kinds for clip in kind[part]]
    clips += [clip for pair in result.pairs for clip in pair[1:]]
    for (samples, rate_hz), clip in zip(sounds_of(browser), clips, strict=True):
        assert rate_hz == RATE_HZ
        np.testing.assert_array_equal(samples, wav.to_int16(clip))
    labels = [element.get_attribute("aria-label") for element in all_of(browser, "audio")]
    assert len(set(labels)) == len(labels)
    assert labels[:5] == ["recorded 1", "recorded 2", "recorded 3", "recorded 4", "generated 1"]
    assert labels[-2:] == ["generated, pair 10", "recorded, pair 10"]


@pytest.mark.parametrize(
    ("rate_hz", "slice_len", "channels", "clips", "played_hz", "played_channels"),
    [(1000, 4096, 3, 1, 8000, 1), (192000, 16384, 2, 1, 96000, 2), (44100, 131072, 2, 4, 44100, 2)],
)
def test_unusual_sounds_play(browser, tmp_path, rate_hz, slice_len, channels, clips, played_hz, played_channels):
    result = make_result(tmp_path, slice_len, rate_hz, channels, clips, pairs=1)
    path = write_report(tmp_path, result)
    assert pathlib.Path(path).stat().st_size < 10e6
    show(browser, path)
    durations = browser.execute_script("return [...document.querySelectorAll('audio')].map(a => a.duration)")
    assert durations == pytest.approx([slice_len / rate_hz] * (3 * clips + 2), rel=0.01)
    for samples, rate in sounds_of(browser):
        assert (rate, samples.shape[1]) == (played_hz, played_channels)
        assert np.std(samples / 32768) > 0.05


def test_pictures_are_there(browser, whole):
    show(browser, whole[1])
    images = all_of(browser, "img")
    assert len(images) == 2 + 10
    for image in images:
        assert int(image.get_attribute("naturalWidth")) > 400 and image.get_attribute("alt")


def test_verdicts_come_first(browser, whole):
    show(browser, whole[1])
    assert text_of(browser, ".verdict.bad strong") == ["Noise without structure", "Copies training data"]
    assert text_of(browser, ".verdict p") == ["The distance is 3.", "9 % are copies."]
    assert all_of(browser, ".verdict")[0].location["y"] < all_of(browser, "table")[0].location["y"]


def test_table_of_metrics(browser, whole):
    show(browser, whole[1])
    assert len(all_of(browser, ".metrics thead th[scope=col]")) == 8
    assert "wavegan repeats" not in text_of(browser, "#metrics + p")[0]
    assert text_of(browser, ".metrics tbody th[scope=row] code") == ["frechet_distance", "ndb", "rms_db"]
    cells = [text_of(browser, f".metrics tbody tr:nth-child({k}) td") for k in (1, 2, 3)]
    assert cells == [
        ["2.0 ± 0.2", "", "2", "4", "800", "600", "difference in all"],
        ["0.5", "", "0.25", "-", "1", "0.75", "share of kinds"],
        ["-20.0 ± 0.1", "", "-22", "-21", "-20", "-20", "level"],
    ]


def test_imitations_have_columns_where_they_were_measured(browser, tmp_path):
    beside = {"re-cut": 40.0, "quilted": 30.0, "shaped noise": 1234.0}
    row = Row("frechet_distance", 2.0, 0.25, 2.0, 4.0, 800.0, 600.0, "difference in all", True, beside)
    new = Row("ndb", 0.5, None, 0.25, None, 1.0, 0.75, "share of kinds", True, {})
    result = make_result(tmp_path, clips=1, pairs=0, rows=[row, new])
    show(browser, write_report(tmp_path, result))
    heads = text_of(browser, ".metrics thead th")
    assert heads[6:10] == ["Coloured noise", "Re-cut", "Quilted", "Shaped noise"] and len(heads) == 11
    assert text_of(browser, ".metrics tbody tr:first-child td")[5:9] == ["600", "40", "30", "1,234"]
    assert text_of(browser, ".metrics tbody tr:last-child td")[5:9] == ["0.75", "-", "-", "-"]
    assert "wavegan repeats" in text_of(browser, "#metrics + p")[0]
    for width in (360, 800, 1280):
        show(browser, tmp_path / "report" / "index.html", width=width)
        page = "document.documentElement"
        assert browser.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth")


def test_marks_lie_where_the_values_lie(browser, whole):
    show(browser, whole[1])
    strips = all_of(browser, ".strip svg")
    label = strips[1].get_attribute("aria-label")
    assert label == "generated 0.5, recordings 0.25, coloured noise 0.75, white noise 1"
    generated, real, white = (
        centre_of(browser, strips[1], selector) for selector in ("circle.generated", ".real", ".white")
    )
    assert (generated - real) / (white - real) == pytest.approx((0.5 - 0.25) / (1 - 0.25), abs=0.02)
    # The Fréchet distance spans decades, and so is drawn by its logarithm.
    assert strips[0].get_attribute("aria-label").endswith("logarithmic")
    held, real, white = (centre_of(browser, strips[0], selector) for selector in (".held", ".real", ".white"))
    assert (held - real) / (white - real) == pytest.approx(math.log(4 / 2) / math.log(800 / 2), abs=0.02)


def test_curves_over_checkpoints(browser, whole):
    show(browser, whole[1])
    names = ["frechet_distance", "ndb", "rms_db", "inception_score"]
    assert text_of(browser, ".curves figcaption code") == names
    assert text_of(browser, ".curves figure:first-child circle title") == [
        "step 100: 400.0 ± 0.2",
        "step 200: 100.0 ± 0.2",
        "step 300: 2.0 ± 0.2",
    ]
    first = all_of(browser, ".curves figure")[0]
    points = first.find_elements(By.CSS_SELECTOR, "circle")
    best = first.find_element(By.CSS_SELECTOR, ".best")
    x, y = ([float(point.get_attribute(name)) for point in points] for name in ("cx", "cy"))
    assert x[2] - x[1] == pytest.approx(x[1] - x[0], abs=0.2)
    assert (y[1] - y[0]) / (y[2] - y[0]) == pytest.approx(math.log(400 / 100) / math.log(400 / 2), abs=0.01)
    assert best.get_attribute("d").startswith(f"M{x[1]},")
    # The last distance is that of the recordings.
    floor = first.find_element(By.CSS_SELECTOR, ".line.real").get_attribute("d")
    assert f",{y[2]} " in floor
    assert "step 200" in text_of(browser, "header")[0]


def test_pairs_are_on_the_page_and_beside_it(browser, whole):
    result, path = whole
    show(browser, path)
    assert text_of(browser, ".pair figcaption")[:2] == ["Pair 1 distance 0.50", "Pair 2 distance 0.60"]
    folder = path.parent / "pairs"
    kinds = ("-generated.wav", "-recorded.wav", ".png")
    assert {file.name for file in folder.iterdir()} == {f"{k:02d}{kind}" for k in range(1, 11) for kind in kinds}
    for k, (_, *clips) in enumerate(result.pairs, 1):
        for kind, clip in zip(kinds, clips):
            samples, rate_hz = soundfile.read(folder / f"{k:02d}{kind}", dtype="int16", always_2d=True)
            assert rate_hz == RATE_HZ
            np.testing.assert_array_equal(samples, wav.to_int16(clip))
    shown = all_of(browser, ".pair img")[2].get_attribute("src")
    assert base64.b64decode(shown.split(",")[1]) == (folder / "03.png").read_bytes()
    assert imread(folder / "03.png").shape[1] > 400


def test_configuration(browser, whole):
    show(browser, whole[1])
    shown = dict(zip(text_of(browser, ".settings th code"), text_of(browser, ".settings td code")))
    assert {name: json.loads(value) for name, value in shown.items()} == json.loads(json.dumps(whole[0].config))


def test_text_from_outside_is_text(browser, tmp_path):
    nasty = """/<script>document.title = "run"</script>/"'&amp;<img src=x onerror=alert(1)>"""
    row = Row("<b>metric", 1.0, None, 1.0, None, 2.0, 2.0, "<i>meaning", True)
    result = make_result(tmp_path, clips=1, pairs=0, verdicts=[("<s>bad", nasty)], rows=[row])
    result = dataclasses.replace(result, train_dir=nasty, checkpoint="<u>")
    result.config["data_dir"] = nasty
    results.append_history(tmp_path, result)
    show(browser, write_report(tmp_path, result))
    assert not all_of(browser, "script, u, s, b, i, img[src=x]")
    assert browser.get_log("browser") == []
    assert nasty in text_of(browser, "header .facts code")
    assert json.dumps(nasty) in text_of(browser, ".settings code")
    assert text_of(browser, ".metrics th code") == text_of(browser, ".curves code") == ["<b>metric"]


def test_little_is_enough(browser, tmp_path):
    nan = math.nan
    rows = [
        Row("frechet_distance", nan, None, None, None, None, None, "unknown", True),
        Row("copies", 0.0, 0.0, 0.0, None, 0.0, nan, "none", None),
    ]
    result = make_result(tmp_path, clips=1, pairs=0, rows=rows, verdicts=[("healthy", "no rule fired")])
    path = write_report(tmp_path, result)
    show(browser, path)
    assert text_of(browser, ".verdict.good strong") == ["Healthy"]
    assert text_of(browser, "h2") == ["Metrics", "Sounds", "Configuration"]
    assert text_of(browser, ".metrics tbody tr:first-child td")[:6] == ["-", "", "-", "-", "-", "-"]
    assert len(all_of(browser, "audio")) == 3

    results.append_history(tmp_path, dataclasses.replace(result, rows=rows[1:]))
    show(browser, write_report(tmp_path, result))
    assert text_of(browser, "h2") == ["Metrics", "Over training", "Sounds", "Configuration"]
    assert text_of(browser, ".curves circle title") == ["step 300: 0"]
    # Numbers that are none would be drawn nowhere.
    assert "nan" not in pathlib.Path(path).read_text().split("<img")[0]
    assert browser.get_log("browser") == []


def test_page_fits_a_phone(browser, whole):
    for width in (360, 800, 1280):
        show(browser, whole[1], width=width)
        page = "document.documentElement"
        assert browser.execute_script(f"return {page}.scrollWidth <= {page}.clientWidth")


def test_page_is_dark_where_the_user_wants_it(browser, whole):
    brightness = {}
    for scheme in ("light", "dark"):
        show(browser, whole[1], scheme=scheme)
        brightness[scheme] = np.median(imread(io.BytesIO(browser.get_screenshot_as_png()))[:, :, :3])
    assert brightness["light"] > 0.9 and brightness["dark"] < 0.2


def test_links_lead_to_headings(browser, whole):
    show(browser, whole[1])
    targets = [link.get_attribute("href").partition("#")[2] for link in all_of(browser, "nav a")]
    assert targets == [heading.get_attribute("id") for heading in all_of(browser, "h2")]
    assert len(all_of(browser, "h1")) == 1
    assert time.strftime("%Y") in all_of(browser, "time")[0].get_attribute("datetime")


def test_new_pairs_take_the_place_of_old_ones(tmp_path):
    write_report(tmp_path, make_result(tmp_path, clips=1, pairs=2))
    write_report(tmp_path, make_result(tmp_path, clips=1, pairs=1))
    assert sorted(path.name for path in (tmp_path / "report").iterdir()) == ["index.html", "pairs"]
    names = sorted(path.name for path in (tmp_path / "report" / "pairs").iterdir())
    assert names == ["01-generated.wav", "01-recorded.wav", "01.png"]


def test_interrupted_report_leaves_the_old_one(tmp_path, monkeypatch):
    result = make_result(tmp_path, clips=1, pairs=1)
    write_report(tmp_path, result)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    replace_atomically = storage.replace_atomically

    def interrupt(path):
        if pathlib.Path(path).name == "01-recorded.wav":
            raise KeyboardInterrupt
        return replace_atomically(path)

    monkeypatch.setattr(storage, "replace_atomically", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path, dataclasses.replace(result, step=400))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_a_full_disk_names_the_file(tmp_path):
    result = make_result(tmp_path, clips=1, pairs=1)
    write_report(tmp_path, result)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    # Sounds are smaller, pictures larger.
    limit = (tmp_path / "report" / "pairs" / "01-recorded.wav").stat().st_size + 1
    path = tmp_path / "report" / "pairs" / "01.png"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        with pytest.raises(UserError, match=rf"cannot write the report: the file is larger .*Received: '{path}'\."):
            write_report(tmp_path, result)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_a_killed_process_left_is_gone_after_the_next(tmp_path):
    for name in (".pairs.0123abcd/new", ".index.html.0123abcd"):
        (tmp_path / "report" / name).mkdir(parents=True)
    write_report(tmp_path, make_result(tmp_path, clips=1, pairs=0))
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"index.html", "pairs"}


def test_a_folder_of_any_name(tmp_path):
    folder = os.path.join(tmp_path, os.fsdecode(b"caf\xe9 <b>&$_$\n"))
    os.mkdir(folder)
    result = make_result(folder, clips=1, pairs=0)
    page = pathlib.Path(write_report(folder, result)).read_text()
    assert r"caf\xe9 &lt;b&gt;&amp;$_$\n" in page


def test_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "report").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write the report.*Received: .*report"):
        write_report(tmp_path, make_result(tmp_path, clips=1, pairs=0))
