"""Serves one page, to this machine unless told otherwise, and nothing else of the disk."""

import errno
import gzip
import http.server
import ipaddress
import socket
import socketserver
import sys
import urllib.parse

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

USUAL_PORT = 8484
"""Browsers keep what a listener has set by the port, too, so it is the same each evening where it is free."""

_TIMEOUT_S = 60.0

_HEADERS = {
    # The page brings its own policy; that no other page may frame it can only be said here.
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def listen(host, port):
    """Begins to listen; who connects waits until the server serves.

    Args:
        host: String, a name or an address of this machine.
        port: Integer, 0 for `USUAL_PORT`, or any that is free where that is taken.

    Returns:
        `PageServer`.

    Raises:
        UserError: The port is taken, or this machine has no such address.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (OSError, UnicodeError) as error:
        raise UserError(f"--host must be a name or an address of this machine. Received: {host!r}.") from error
    for number in [port] if port else [USUAL_PORT, 0]:
        try:
            return PageServer(family, (address[0], number))
        except OSError as error:
            if error.errno == errno.EADDRINUSE and not port:
                continue
            if error.errno == errno.EADDRINUSE:
                raise UserError(f"port {port} is in use; give another --port, or leave it out.") from error
            raise UserError(
                f"cannot listen at {host!r}, port {number}: {words.reason(error)}; give another --host or --port."
            ) from error
    raise UserError("no port is free.")


class PageServer(http.server.ThreadingHTTPServer):
    """Listens from the beginning; `serve_forever` serves the page.

    Args:
        family: `socket.AddressFamily`.
        address: Pair of a string, an IP address, and an integer, the port.

    Attributes:
        is_private: Boolean, whether it answers to this machine alone.
        page, packed: Bytes, the page, and the same compressed by gzip; see `show`.

    Raises:
        OSError: The port is taken, or the address is not of this machine.
    """

    def __init__(self, family, address):
        self.address_family = family
        super().__init__(address, _Handler)
        self.is_private = ipaddress.ip_address(self.server_address[0]).is_loopback
        self.page = self.packed = b""

    def server_bind(self):
        # The base class asks for the name of the machine, which may wait for a server of names.
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def show(self, page):
        """Sets the page, bytes, before it is served."""
        self.page, self.packed = page, gzip.compress(page, mtime=0)

    @property
    def url(self):
        """The address for a browser of this machine."""
        host = self.server_address[0]
        if ipaddress.ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
        return f"http://{f'[{host}]' if ':' in host else host}:{self.server_port}/"

    def is_meant(self, host):
        """Whether a request with this header Host is for this server.

        A page of elsewhere may have its own name point to this machine; its name is in the header then.
        """
        if not self.is_private:
            return True
        try:
            name = urllib.parse.urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        return name in ("localhost", "127.0.0.1", "::1", self.server_address[0])

    def handle_error(self, request, client_address):
        # A reader that has gone is no mistake of ours.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    timeout = _TIMEOUT_S

    def version_string(self):
        return "wavegan"

    def do_GET(self):
        self._answer()

    def do_HEAD(self):
        self._answer()

    def __getattr__(self, name):
        # The base class looks for a method of each verb.
        if name.startswith("do_"):
            return self._refuse
        raise AttributeError(name)

    def _answer(self):
        if not self.server.is_meant(self.headers.get("Host", "")):
            self._send(403, b"This server answers to localhost alone.\n")
        elif self.path != "/":
            self._send(404, b"There is one page here: /\n")
        elif self._takes_gzip():
            packed = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            self._send(200, self.server.packed, "text/html; charset=utf-8", packed)
        else:
            self._send(200, self.server.page, "text/html; charset=utf-8", {"Vary": "Accept-Encoding"})

    def _refuse(self):
        self._send(405, b"GET and HEAD alone.\n", headers={"Allow": "GET, HEAD"})

    def _takes_gzip(self):
        for each in self.headers.get("Accept-Encoding", "").split(","):
            coding, _, weight = each.replace(" ", "").partition(";q=")
            if coding == "gzip":
                return weight.strip("0.") != "" if weight else True
        return False

    def _send(self, status, body, kind="text/plain; charset=utf-8", headers=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self):
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format, *args):
        pass
