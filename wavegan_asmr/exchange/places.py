"""Places that files are pushed to and pulled from, by fsspec: folders, web servers, object stores, model hubs."""

import asyncio
import contextlib
import dataclasses
import os
import re
import urllib.parse

import fsspec

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError

_BLOCK_BYTES = 1 << 20
_CANCEL_S = 5.0
_SILENT_S = 60.0
"""A server that says nothing for so long is given up."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


@dataclasses.dataclass(frozen=True)
class _Scheme:
    """What is known of URLs that begin alike.

    Attributes:
        extra: String, the extra of this package that has the library, or "".
        library: String, that library.
        is_web: Boolean, whether it can be read alone, and only file by file.
    """

    extra: str = ""
    library: str = ""
    is_web: bool = False


SCHEMES = {
    "file": _Scheme(),
    "http": _Scheme(is_web=True),
    "https": _Scheme(is_web=True),
    "s3": _Scheme("s3", "s3fs"),
    "gs": _Scheme("gs", "gcsfs"),
    "hf": _Scheme("hf", "huggingface_hub"),
}
"""How URLs may begin -> `_Scheme`."""


class Place:
    """A folder somewhere.

    Args:
        url: String; without a scheme it is a path.

    Attributes:
        local: String, the path of a folder of this machine, or None.
        is_web: Boolean, whether it can be read alone.

    Raises:
        UserError: The URL is none, or the library for it is not installed.
    """

    def __init__(self, url):
        match = _URL.fullmatch(url)
        name = match[1].lower() if match else "file"
        if name not in SCHEMES or not url or (match and not match[2].strip("/") and name != "file"):
            begins = ", ".join(f"{each}://" for each in SCHEMES)
            raise UserError(f"URL must be a folder, or begin with one of {begins}. Received: {url!r}.")
        self._url, self._scheme = url.rstrip("/") or "/", SCHEMES[name]
        self.is_web, self.local = self._scheme.is_web, None
        if self.is_web and re.search("[?#]", url):
            raise UserError(f"URL must name a folder, without ? and #. Received: {url!r}.")
        self._fs = _open_file_system(name, self._scheme)
        self._root = fsspec.core.strip_protocol(self._url)
        if name == "file":
            self.local = os.path.abspath(self._root)

    def __str__(self):
        return words.printable(self._url)

    def read(self, name):
        """Returns the bytes of a small file, or None where there is none."""
        with self._reaching():
            try:
                return self._fs.cat_file(self._path(name))
            except (FileNotFoundError, NotADirectoryError):
                return None

    def sizes(self, names):
        """Returns the sizes of files, a list of integers, or of None where the place does not say.

        Raises:
            UserError: One is missing.
        """
        with self._reaching():
            return self._fs.sizes([self._path(name) for name in names])

    def fetch(self, name, path, size, advance):
        """Appends to a local file what it lacks of a file here.

        Args:
            name: String.
            path: String, the local file; it need not exist.
            size: Integer, of the whole file, or None where that is not known.
            advance: Function of a number of bytes.

        Raises:
            UserError: It is missing or broke off; what has come is in the local file.
        """
        with open(path, "ab") as file:
            begun = file.tell()
            if begun:
                advance(begun)
            with self._reaching():
                if self.is_web:
                    self._fetch_from_web(name, file, begun, size, advance)
                    return
                with self._fs.open(self._path(name), "rb", cache_type="readahead") as source:
                    source.seek(begun)
                    while block := source.read(_BLOCK_BYTES):
                        file.write(block)
                        advance(len(block))

    def _fetch_from_web(self, name, file, begun, size, advance):
        from aiohttp import ClientResponseError

        options = {"headers": {"Range": f"bytes={begun}-"}} if begun else {}
        try:
            self._fs.get_file(self._path(name), file, callback=_Callback(begun and size, advance), **options)
        except _WholeFileError:
            # It does not go on in the middle.
            file.truncate(0)
            advance(-begun)
            self._fs.get_file(self._path(name), file, callback=_Callback(None, advance))
        except ClientResponseError as error:
            # There is nothing behind the end.
            if error.status != 416:
                raise

    def write(self, name, blocks):
        """Writes a file, whole or not at all.

        Args:
            name: String.
            blocks: Iterable of bytes.

        Raises:
            UserError: It cannot be written.
        """
        with self._reaching():
            if self.local:
                os.makedirs(os.path.dirname(self._path(name)), exist_ok=True)
                with storage.replacing(self._path(name)) as file:
                    file.writelines(blocks)
                return
            file = self._fs.open(self._path(name), "wb")
            try:
                for block in blocks:
                    file.write(block)
            except BaseException:
                file.discard()
                # Else what there is would be published when it is forgotten.
                file.closed = True
                raise
            file.close()

    def delete(self, name):
        """Deletes a file, if it is there."""
        with self._reaching(), contextlib.suppress(FileNotFoundError):
            self._fs.rm_file(self._path(name))

    def names(self):
        """Returns the names of what is in the folder, a list of strings, empty where there is no such folder."""
        with self._reaching():
            try:
                found = [path.rstrip("/") for path in self._fs.ls(self._root, detail=False)]
            except FileNotFoundError:
                return []
            return sorted(path.rpartition("/")[2] for path in found if path != self._root)

    def _path(self, name):
        return f"{self._root}/{urllib.parse.quote(name) if self.is_web else name}"

    @contextlib.contextmanager
    def _reaching(self):
        try:
            yield
        except (UserError, _WholeFileError):
            raise
        except KeyboardInterrupt:
            if self._fs.async_impl:
                asyncio.run_coroutine_threadsafe(_cancel_others(), self._fs.loop).result(_CANCEL_S)
            raise
        except FileNotFoundError as error:
            raise UserError(f"{self}: not found: {words.printable(str(error.filename or error))}.") from error
        except Exception as error:
            # The library of each cloud has errors of its own.
            reason = (words.reason(error) or type(error).__name__).rstrip(".")
            raise UserError(f"{self}: {reason}. The same command goes on where it broke off.") from error


def _open_file_system(name, scheme):
    options = {}
    if scheme.is_web:
        import aiohttp

        # Large files take longer than the five minutes that aiohttp has for all.
        options["client_kwargs"] = {
            "timeout": aiohttp.ClientTimeout(total=None, sock_connect=_SILENT_S, sock_read=_SILENT_S)
        }
    try:
        return fsspec.filesystem(name, skip_instance_cache=True, use_listings_cache=False, **options)
    except ImportError as error:
        raise UserError(f"{name}:// needs {scheme.library}: pip install 'wavegan[{scheme.extra}]'.") from error


async def _cancel_others():
    """Ends what a file system that waits in a thread of its own would go on with."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class _WholeFileError(Exception):
    """A server sends the whole file where a part was asked for."""


class _Callback:
    """What fsspec tells how far it is.

    Args:
        whole_size: Integer, which no part of the file has, or None.
        advance: Function of a number of bytes.
    """

    def __init__(self, whole_size, advance):
        self._whole_size, self._advance = whole_size, advance

    def set_size(self, size):
        if self._whole_size and size == self._whole_size:
            raise _WholeFileError

    def relative_update(self, count=1):
        if count:
            self._advance(count)
