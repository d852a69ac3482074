"""What is pushed and pulled arrives whole or not at all, and goes on after a break."""

import contextlib
import functools
import hashlib
import http.server
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import filelock
import numpy as np
import pytest

from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import places, pull, push

BIG = "ckpt-20.data-00000-of-00001"
BIG_BYTES = 3_000_000


@pytest.fixture
def train_dir(tmp_path):
    """A TRAIN_DIR as far as files go, with what is left out."""
    folder = tmp_path / "train"
    files = {
        "config.json": Config().to_json().encode(),
        "checkpoint": b"newest",
        BIG: np.random.default_rng(0).bytes(BIG_BYTES),
        "ckpt-20.index": b"index",
        "preview/z.npy": b"z",
        "preview/a name #1 %41 ü.wav": b"sound",
        "events.out.tfevents.1": b"events",
        "empty": b"",
        # Left out:
        ".lock": b"",
        ".saving.0123abcd/ckpt-30.index": b"half",
        "backup/10/config.json": b"{}",
        "damaged-ckpt-10.index": b"",
    }
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "checkpoint").chmod(0o755)
    (folder / "link").symlink_to("/etc/passwd")
    return folder


PUSHED = {
    "config.json",
    "checkpoint",
    BIG,
    "ckpt-20.index",
    "preview/z.npy",
    "preview/a name #1 %41 ü.wav",
    "events.out.tfevents.1",
    "empty",
}


def contents(folder):
    """Digests of all files below a folder, hidden ones too: dict of name to digest."""
    paths = [path for path in pathlib.Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def pushed(folder):
    return {name: digest for name, digest in contents(folder).items() if name in PUSHED}


def without_sums(folder):
    found = contents(folder)
    del found["SHA256SUMS"]
    return found


class Handler(http.server.SimpleHTTPRequestHandler):
    """A web server with ranges that notes what is asked for, and may break off or dawdle."""

    takes_ranges = True

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        server, path = self.server, pathlib.Path(self.translate_path(self.path))
        begin = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        begin = int(begin[1]) if begin and self.takes_ranges else 0
        server.asked.append((path.name, begin))
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        if begin and begin >= len(data):
            self.send_error(416)
            return
        self.send_response(206 if begin else 200)
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        for i in range(begin, len(data), 100_000):
            if server.breaks_at is not None and i >= server.breaks_at:
                return
            with contextlib.suppress(ConnectionError):
                self.wfile.write(data[i : i + 100_000])
            time.sleep(server.pause_s)


class WithoutRanges(Handler):
    takes_ranges = False


@pytest.fixture
def serve(tmp_path):
    """Function: serves tmp_path; returns the server and its URL."""
    servers = []

    def start(handler):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(handler, directory=str(tmp_path)))
        server.asked, server.breaks_at, server.pause_s = [], None, 0.0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return server, f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="module")
def s3():
    """An S3 on loopback, with a bucket."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        import s3fs

        s3fs.S3FileSystem().mkdir("bucket")
        yield "s3://bucket"
    server.stop()


def test_a_folder_there_and_back(train_dir, tmp_path, verb):
    place, folder = tmp_path / "a place" / "there", tmp_path / "new" / "pulled"
    said = verb("push", train_dir, place)
    assert f"pushed    {len(PUSHED)} files, {len(PUSHED)} of them new" in said and "left out: link" in said
    assert without_sums(place) == pushed(train_dir)
    checked = subprocess.run(["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=place, capture_output=True)
    assert checked.returncode == 0, checked.stderr
    verb("pull", f"file://{place}", folder)
    assert contents(folder) == contents(place)
    assert not (folder / "checkpoint").stat().st_mode & 0o111
    assert sorted(os.listdir(folder.parent)) == ["pulled"]
    assert "0 of them new" in verb("push", train_dir, place)
    assert "0 of them new" in verb("pull", place, folder)


def test_what_is_new_comes_and_what_is_gone_goes(train_dir, tmp_path):
    place, folder = str(tmp_path / "there"), tmp_path / "pulled"
    push.push(train_dir, place)
    pull.pull(place, folder)
    (folder / "preview" / "own.png").write_bytes(b"mine")
    (train_dir / "ckpt-20.index").unlink()
    (train_dir / "ckpt-40.index").write_bytes(b"newer")
    (train_dir / "checkpoint").write_bytes(b"newer too")
    push.push(train_dir, place)
    assert "ckpt-20.index" not in contents(place) and contents(place)["ckpt-40.index"]
    pull.pull(place, folder)
    assert contents(folder) == contents(place) | {"preview/own.png": hashlib.sha256(b"mine").hexdigest()}


def test_what_was_changed_here_is_not_written_over(train_dir, tmp_path):
    place, folder = str(tmp_path / "there"), tmp_path / "pulled"
    push.push(train_dir, place)
    pull.pull(place, folder)
    (folder / "checkpoint").write_bytes(b"trained on here")
    (train_dir / "checkpoint").write_bytes(b"trained on there")
    push.push(train_dir, place)
    before = contents(folder)
    with pytest.raises(UserError, match="checkpoint' has changed since it was pulled; pull into a new folder"):
        pull.pull(place, folder)
    assert contents(folder) == before and not os.path.exists(f"{folder}.partial")


def test_other_folders_are_left_alone(train_dir, tmp_path):
    place, folder = str(tmp_path / "there"), tmp_path / "mine"
    push.push(train_dir, place)
    folder.mkdir()
    (folder / "letter").write_bytes(b"dear")
    with pytest.raises(UserError, match="mine' holds other files already; pull into a new folder"):
        pull.pull(place, folder)
    with pytest.raises(UserError, match=r"mine holds other files, such as 'letter'; name a new folder\.$"):
        push.push(train_dir, str(folder))
    assert contents(folder).keys() == {"letter"}
    with pytest.raises(UserError, match=r"FOLDER must be a folder\. Received a file"):
        pull.pull(place, folder / "letter")


def test_another_training_is_not_replaced_by_mistake(train_dir, tmp_path):
    place = str(tmp_path / "there")
    push.push(train_dir, place)
    other = tmp_path / "other"
    other.mkdir()
    (other / "config.json").write_text("{}")
    with pytest.raises(UserError, match="holds something else that was pushed; name a new folder, or --overwrite"):
        push.push(other, place)
    push.push(other, place, overwrite=True)
    assert contents(place).keys() == {"config.json", "SHA256SUMS"}


@pytest.mark.parametrize("handler", [Handler, WithoutRanges])
def test_a_web_server_that_breaks_off(train_dir, tmp_path, serve, handler):
    push.push(train_dir, str(tmp_path / "there"))
    server, url = serve(handler)
    server.breaks_at = 2_000_000
    folder = tmp_path / "pulled"
    with pytest.raises(UserError, match="The same command goes on where it broke off"):
        pull.pull(f"{url}/there", folder)
    assert not folder.exists()
    whole = {name for name, _ in server.asked} - {BIG, "SHA256SUMS"}
    [partial] = (tmp_path / "pulled.partial").glob("*.partial")
    has_come = partial.stat().st_size
    assert 0 < has_come <= 2_000_000
    server.asked.clear()
    server.breaks_at = None
    pull.pull(f"{url}/there", folder)
    assert without_sums(folder) == pushed(train_dir) and not (tmp_path / "pulled.partial").exists()
    fetched = [each for each in server.asked if each[0] == BIG]
    assert fetched == ([(BIG, has_come)] if handler is Handler else [(BIG, 0), (BIG, 0)])
    assert whole and not whole & {name for name, _ in server.asked}


def test_a_pull_that_is_stopped(train_dir, tmp_path, serve):
    push.push(train_dir, str(tmp_path / "there"))
    server, url = serve(Handler)
    server.pause_s = 0.3
    folder = tmp_path / "pulled"
    process = subprocess.Popen(
        [sys.executable, "-m", "wavegan_asmr", "pull", f"{url}/there", str(folder)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    deadline_s = time.monotonic() + 60
    while (BIG, 0) not in server.asked and time.monotonic() < deadline_s:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 128 + signal.SIGINT
    # Nothing of what libraries have to say about it.
    assert set(re.sub("pulling .*\n", "", process.stderr.read()).splitlines()) == {"stopped"} and not folder.exists()
    server.pause_s = 0.0
    pull.pull(f"{url}/there", folder)
    assert without_sums(folder) == pushed(train_dir)
    assert [begin > 0 for name, begin in server.asked if name == BIG] == [False, True]


def test_s3_there_and_back(train_dir, tmp_path, s3, verb):
    url, folder = f"{s3}/some/rain", tmp_path / "pulled"
    verb("push", train_dir, url)
    verb("pull", url, folder)
    assert without_sums(folder) == pushed(train_dir)
    (train_dir / "ckpt-20.index").unlink()
    assert "0 of them new" in verb("push", train_dir, url)
    verb("pull", url, folder)
    assert not (folder / "ckpt-20.index").exists()
    with pytest.raises(UserError, match="holds nothing that was pushed"):
        pull.pull(f"{s3}/nothing", tmp_path / "none")
    with pytest.raises(UserError, match="s3://no-such-bucket/x: "):
        push.push(train_dir, "s3://no-such-bucket/x")


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_a_push_that_breaks_off(train_dir, tmp_path, s3, monkeypatch, where, verb):
    url = str(tmp_path / "there") if where == "folder" else f"{s3}/broken"
    write = places.Place.write

    def break_off(self, name, blocks):
        def half():
            for block in blocks:
                yield block[: len(block) // 2]
                raise ConnectionError("the line is down")

        write(self, name, half() if name == BIG else blocks)

    monkeypatch.setattr(places.Place, "write", break_off)
    with pytest.raises(UserError, match=r"the line is down\. The same command goes on where it broke off"):
        push.push(train_dir, url)
    place = places.Place(url)
    assert place.read(BIG) is None and place.read("SHA256SUMS") is None and place.read("checkpoint") == b"newest"
    with pytest.raises(UserError, match="holds nothing that was pushed"):
        pull.pull(url, tmp_path / "pulled")
    monkeypatch.setattr(places.Place, "write", write)
    # In the order of their names; "checkpoint" came before it broke off.
    assert f"{len(PUSHED)} files, {len(PUSHED) - 1} of them new" in verb("push", train_dir, url)
    assert place.read("SHA256SUMS.partial") is None
    pull.pull(url, tmp_path / "pulled")
    assert without_sums(tmp_path / "pulled") == pushed(train_dir)


def test_what_goes_back_to_an_earlier_state_is_pushed_again(train_dir, tmp_path, monkeypatch):
    place, path = tmp_path / "there", train_dir / "checkpoint"
    push.push(train_dir, str(place))
    path.write_bytes(b"newer")
    (train_dir / "preview" / "z.npy").write_bytes(b"newer")
    write = places.Place.write

    down = []

    def break_off(self, name, blocks):
        # From then on nothing is written, as of a process that is killed.
        if name == "preview/z.npy" or down:
            down.append(name)
            raise UserError("down")
        write(self, name, blocks)

    monkeypatch.setattr(places.Place, "write", break_off)
    with pytest.raises(UserError, match="down"):
        push.push(train_dir, str(place))
    monkeypatch.setattr(places.Place, "write", write)
    assert (place / "checkpoint").read_bytes() == b"newer"
    path.write_bytes(b"newest")
    push.push(train_dir, str(place))
    assert without_sums(place) == pushed(train_dir)
    pull.pull(str(place), tmp_path / "pulled")


def damage_byte(path):
    data = bytearray(path.read_bytes())
    data[1_500_000] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [damage_byte, lambda path: os.truncate(path, 1000), lambda path: path.write_bytes(b""), lambda path: path.unlink()],
    ids=["altered", "truncated", "empty", "missing"],
)
def test_damaged_files_are_named(train_dir, tmp_path, damage):
    place, folder = tmp_path / "there", tmp_path / "pulled"
    push.push(train_dir, str(place))
    whole = (place / BIG).read_bytes()
    damage(place / BIG)
    with pytest.raises(UserError, match=re.escape(f"/{BIG}")):
        pull.pull(str(place), folder)
    assert not folder.exists()
    (place / BIG).write_bytes(whole)
    pull.pull(str(place), folder)
    assert without_sums(folder) == pushed(train_dir)


@pytest.mark.parametrize(
    "name",
    ["../escaped", "a/../../escaped", "/tmp/escaped", "a//b", "./a", ".git/config", "a/.envrc", "a\\b", "a\x1b[2J"],
)
def test_names_that_lie_are_refused(train_dir, tmp_path, name):
    place, folder = tmp_path / "there", tmp_path / "deep" / "pulled"
    push.push(train_dir, str(place))
    (tmp_path / "escaped").write_bytes(b"evil")
    with (place / "SHA256SUMS").open("a") as file:
        file.write(f"{hashlib.sha256(b'evil').hexdigest()}  {name}\n")
    before = set(tmp_path.rglob("*"))
    with pytest.raises(UserError, match="a name must be of a file below the folder") as caught:
        pull.pull(str(place), folder)
    assert str(caught.value).isprintable()
    assert set(tmp_path.rglob("*")) == before


def test_lists_that_contradict_themselves_are_refused(train_dir, tmp_path):
    place = tmp_path / "there"
    push.push(train_dir, str(place))
    text = (place / "SHA256SUMS").read_text()
    for more, message in [
        (text, "and stand there once"),
        (f"{'0' * 64}  config.json/x\n", "a name is of a file and of a folder. Received: 'config.json'"),
        ("<html>\n", "line 9 is no checksum. Received: '<html>'"),
    ]:
        (place / "SHA256SUMS").write_text(text + more)
        with pytest.raises(UserError, match=message):
            pull.pull(str(place), tmp_path / "pulled")
    (place / "SHA256SUMS").write_text(f"{'0' * 64}  debian.iso\n")
    with pytest.raises(UserError, match=r"holds no TRAIN_DIR, runs or shared model"):
        pull.pull(str(place), tmp_path / "pulled")


def test_links_lead_nowhere(train_dir, tmp_path):
    place, folder, outside = str(tmp_path / "there"), tmp_path / "pulled", tmp_path / "outside"
    push.push(train_dir, place)
    pull.pull(place, folder)
    (folder / "preview").rename(outside)
    (folder / "preview").symlink_to(outside)
    (train_dir / "preview" / "z.npy").write_bytes(b"newer")
    push.push(train_dir, place)
    with pytest.raises(UserError, match="is a link, or behind one; pull into a new folder"):
        pull.pull(place, folder)
    assert (outside / "z.npy").read_bytes() == b"z"


def test_one_pull_at_a_time(train_dir, tmp_path):
    push.push(train_dir, str(tmp_path / "there"))
    partial = tmp_path / "pulled.partial"
    partial.mkdir()
    with filelock.FileLock(partial / ".lock"), pytest.raises(UserError, match=r"another pull into .* is running"):
        pull.pull(str(tmp_path / "there"), tmp_path / "pulled")
    (partial / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"pulled.partial' is needed .* It holds 'thesis.txt'"):
        pull.pull(str(tmp_path / "there"), tmp_path / "pulled")
    assert (partial / "thesis.txt").exists()


def test_runs_of_many_cases(train_dir, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    (runs / "cases.json").write_text("{}")
    # A case may have the name of a folder that is left out elsewhere.
    train_dir.rename(runs / "backup")
    push.push(runs, str(tmp_path / "there"))
    assert contents(tmp_path / "there").keys() == {f"backup/{name}" for name in PUSHED} | {"cases.json", "SHA256SUMS"}


def test_a_shared_model_is_its_own_files(tmp_path):
    model = tmp_path / "model"
    (model / "preview").mkdir(parents=True)
    for name in ("config.json", "generator.safetensors", "README.md", "LICENSE", "metrics.jsonl", "preview/z.npy"):
        (model / name).write_text(name)
    push.push(model, str(tmp_path / "there"))
    found = {"config.json", "generator.safetensors", "README.md", "LICENSE", "SHA256SUMS"}
    assert contents(tmp_path / "there").keys() == found


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://127.0.0.1/x", "a web server can be pulled from alone"),
        ("ftp://example.org/x", r"begin with one of file://, http://, https://, s3://, gs://, hf://\. Received: 'ftp:"),
        ("s3://", "URL must be a folder"),
        ("hf://user/model", r"hf:// needs huggingface_hub: pip install 'wavegan\[hf\]'\."),
    ],
)
def test_places_that_will_not_do(train_dir, monkeypatch, url, message):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=message):
        push.push(train_dir, url)


def test_mistakes(train_dir, tmp_path, serve):
    with pytest.raises(UserError, match="FOLDER must be a TRAIN_DIR, runs or a shared model"):
        push.push(tmp_path, str(tmp_path / "there"))
    with pytest.raises(UserError, match="URL must not be inside of what is pushed"):
        push.push(train_dir, str(train_dir / "copy"))
    with pytest.raises(UserError, match=r"without \? and #"):
        pull.pull("http://127.0.0.1/x?y", tmp_path / "pulled")
    _, url = serve(Handler)
    with pytest.raises(UserError, match=r"/nothing holds nothing that was pushed: there is no SHA256SUMS\.$"):
        pull.pull(f"{url}/nothing", tmp_path / "pulled")
    assert sorted(os.listdir(tmp_path)) == ["train"]
