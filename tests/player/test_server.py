"""The server shows its page, and nothing else to nobody else; `wavegan play` begins and ends it."""

import gzip
import http.client
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
import small_models
from conftest import ROOT
from processes import free_ports, read_until, wait_until

from wavegan_asmr.errors import UserError
from wavegan_asmr.player import page, server

PAGE = b"<!doctype html><title>rain</title>" + b"rain " * 1000


@pytest.fixture(scope="module")
def players(tmp_path_factory):
    """The path of a small model, in a list."""
    return small_models.make(tmp_path_factory.mktemp("models"), ["rain"])


@pytest.fixture
def serving():
    """A server of loopback that serves PAGE."""
    (port,) = free_ports(1)
    with running(server.listen("127.0.0.1", port)) as listening:
        yield listening


class running:
    """Context in which a server serves."""

    def __init__(self, listening):
        self._listening = listening

    def __enter__(self):
        self._listening.show(PAGE)
        self._thread = threading.Thread(target=self._listening.serve_forever, args=[0.01])
        self._thread.start()
        return self._listening

    def __exit__(self, *exception):
        self._listening.shutdown()
        self._thread.join()
        self._listening.server_close()


def ask(listening, path="/", method="GET", **headers):
    """Asks as a browser does; returns the status, the headers and the body."""
    connection = http.client.HTTPConnection("127.0.0.1", listening.server_port, timeout=30)
    try:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def exchange(listening, request):
    """Sends bytes; returns the bytes that come back until the server closes."""
    with socket.create_connection(("127.0.0.1", listening.server_port), timeout=30) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(1 << 16), b""))


def test_the_page(serving):
    status, headers, body = ask(serving)
    assert (status, body) == (200, PAGE)
    assert headers["Content-Type"] == "text/html; charset=utf-8" and headers["Content-Length"] == str(len(PAGE))
    assert headers["Content-Security-Policy"] == "frame-ancestors 'none'"
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "no-referrer"
    # Neither versions nor the machine.
    assert "Python" not in str(headers)


@pytest.mark.parametrize("accepted", ["gzip", "gzip, deflate, br, zstd", "br;q=1.0, gzip;q=0.5"])
def test_compressed_for_those_who_take_it(serving, accepted):
    _, headers, body = ask(serving, Accept_Encoding=accepted)
    assert headers["Content-Encoding"] == "gzip" and headers["Vary"] == "Accept-Encoding"
    assert len(body) < len(PAGE) and gzip.decompress(body) == PAGE


@pytest.mark.parametrize("accepted", ["identity", "br", "gzip;q=0", "gzip; q=0.00", "x-gzip-2"])
def test_plain_for_the_others(serving, accepted):
    _, headers, body = ask(serving, Accept_Encoding=accepted)
    assert headers["Content-Encoding"] is None and body == PAGE


def test_head_has_no_body(serving):
    status, headers, body = ask(serving, method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(PAGE)), b"")


@pytest.mark.parametrize(
    "path",
    [
        "/favicon.ico",
        "/index.html",
        "/?seed=1",
        "/../setup.py",
        "/%2e%2e/setup.py",
        "/etc/passwd",
        "/./",
        "*",
        "http://127.0.0.1/",
        "http://example.org/",
    ],
)
def test_nothing_else(serving, path):
    status, headers, body = ask(serving, path, Host="localhost")
    assert status == 404 and b"rain" not in body and b"import" not in body
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT", "MKCOL"])
def test_other_methods(serving, method):
    status, headers, body = ask(serving, method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD") and b"rain" not in body


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:1", "[::1]:8484", "LOCALHOST:80"])
def test_names_of_this_machine(serving, host):
    assert ask(serving, Host=host)[0] == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "[::1", "", "a@b"]
)
def test_names_that_others_have_turned_here(serving, host):
    status, _, body = ask(serving, Host=host)
    assert status == 403 and b"rain" not in body


def test_no_name_at_all(serving):
    assert exchange(serving, b"GET / HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 403 ")


@pytest.mark.parametrize("request_", [b"\x16\x03\x01\x02\x00\r\n", b"GET\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\r\n"])
def test_what_is_no_request(serving, request_):
    answer = exchange(serving, request_)
    assert b"rain" not in answer and b" 200 " not in answer
    assert ask(serving)[0] == 200


def test_who_goes_away_leaves_no_word(serving, capfd):
    serving.show(PAGE * 5000)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", serving.server_port)) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            connection.recv(1)
            # Closed with bytes that nobody reads: the server gets a reset.
    assert ask(serving, method="HEAD")[0] == 200
    time.sleep(0.2)
    assert "".join(capfd.readouterr()) == ""


def test_one_who_dawdles_holds_up_nobody(serving):
    with socket.create_connection(("127.0.0.1", serving.server_port)) as connection:
        connection.sendall(b"GET / HT")
        assert ask(serving)[2] == PAGE


def test_a_port_in_use():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use"):
            server.listen("127.0.0.1", port)


def test_the_usual_port_or_a_free_one(monkeypatch):
    (usual,) = free_ports(1)
    monkeypatch.setattr(server, "USUAL_PORT", usual)
    with server.listen("127.0.0.1", 0) as first, server.listen("127.0.0.1", 0) as second:
        assert first.url == f"http://127.0.0.1:{usual}/"
        assert second.server_port not in (0, usual)


@pytest.mark.parametrize("host", ["nowhere.invalid", "203.0.113.7", "a" * 300, "not a name"])
def test_a_host_that_is_not_this_machine(host):
    with pytest.raises(UserError, match="--host") as error:
        server.listen(host, 0)
    assert "\n" not in str(error.value)


def test_all_addresses():
    with running(server.listen("0.0.0.0", *free_ports(1))) as listening:
        assert listening.url == f"http://127.0.0.1:{listening.server_port}/"
        assert ask(listening, Host="bedroom.lan")[0] == 200


def test_the_newer_internet_protocol():
    try:
        listening = server.listen("::1", *free_ports(1))
    except UserError:
        pytest.skip("this machine has no IPv6")
    with running(listening):
        assert listening.url == f"http://[::1]:{listening.server_port}/"
        with urllib.request.urlopen(listening.url) as answer:
            assert answer.read() == PAGE


@pytest.fixture
def built(monkeypatch):
    """List of what `page.build` was asked for; it returns PAGE at once."""
    calls = []
    monkeypatch.setattr(page, "build", lambda *arguments: calls.append(arguments) or PAGE)
    return calls


def visit(act):
    """Starts a thread that acts, and then stops this process as Ctrl-C does."""

    def run():
        try:
            act()
        finally:
            os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def test_the_verb(built, verb, monkeypatch, tmp_path):
    (port,) = free_ports(1)
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}.part && mv {opened}.part {opened}\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    # Run anew, as `webbrowser` looks at it once.
    monkeypatch.setenv("BROWSER", f"{browser} %s")
    monkeypatch.setattr("webbrowser._tryorder", None)
    seen = []

    def look():
        wait_until(opened.exists, timeout_s=30)
        with urllib.request.urlopen(opened.read_text().strip()) as answer:
            seen.append(answer.read())

    thread = visit(look)
    said = verb("play", "./rain", "./fire", "--checkpoint", "7", "--port", port)
    thread.join()
    assert built == [(["./rain", "./fire"], 7, None)] and seen == [PAGE]
    assert said == f"page      http://127.0.0.1:{port}/ until Ctrl-C\nstopped\n"
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_the_verb_opens_nothing_if_told_so(built, verb, monkeypatch):
    monkeypatch.setattr("webbrowser.open", lambda url: pytest.fail("opened"))
    (port,) = free_ports(1)
    thread = visit(lambda: wait_until(lambda: answers(port), timeout_s=30))
    verb("play", "./rain", "--noopen", "--port", port)
    thread.join()


def answers(port):
    """Whether a page is served there."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def test_a_taken_port_is_said_before_the_models_are_packed(built, verb):
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(UserError, match="is in use"):
        verb("play", "./rain", "--port", other.getsockname()[1])
    assert built == []


@pytest.mark.parametrize(
    "arguments, words",
    [
        ([], "one or more TRAIN_DIRs"),
        ([""], "one or more TRAIN_DIRs"),
        (["./rain", "--port", "65536"], "--port must be"),
        (["./rain", "--port", "-1"], "--port must be"),
        (["./rain", "--host", ""], "--host must be"),
        (["./rain", "--checkpoint", "last"], "--checkpoint must be"),
    ],
)
def test_mistakes(verb, arguments, words):
    with pytest.raises(UserError, match=words):
        verb("play", *arguments)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_well(number, players, tmp_path):
    (port,) = free_ports(1)
    arguments = [sys.executable, "-m", "wavegan_asmr", "play", players[0], "--noopen", "--port", str(port)]
    process = subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert re.search(r"http://127\.0\.0\.1:\d+/", read_until(process, "page "))
        assert answers(port)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
        assert process.returncode == 0 and "Traceback" not in stderr and stderr.endswith("stopped\n")
    finally:
        process.kill()
        process.wait()
