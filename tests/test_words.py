"""How names and reasons are said."""

import errno
import os
import subprocess

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wavegan_asmr import words

_NAMES = st.binary(min_size=1).filter(lambda name: b"\0" not in name)


@given(_NAMES)
@example(b"caf\xe9.wav")
@example(b"it's")
@example("🌧 雨".encode())
def test_a_shell_reads_the_name_that_was_quoted(name):
    command = "printf %s " + words.shell(os.fsdecode(name))
    assert command.isprintable()
    assert subprocess.run(["bash", "-c", command.encode()], capture_output=True, check=True).stdout == name


@given(_NAMES)
@example(b"a\nb")
@example(b"\x1b[31m")
def test_names_stay_on_one_line(name):
    text = words.printable(os.fsdecode(name))
    assert text.isprintable() and text.encode()


@pytest.mark.parametrize(
    ("name", "expected"), [(b"caf\xe9.wav", "caf\\xe9.wav"), (b"a\nb", "a\\nb"), ("雨 $_$.wav".encode(), "雨 $_$.wav")]
)
def test_printable_names(name, expected):
    assert words.printable(os.fsdecode(name)) == expected


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.EACCES])
def test_reasons_are_plain(number):
    """The same words whoever failed: Python, or a library that passes on the system's own."""
    said = words.reason(OSError(number, os.strerror(number)))
    assert said == words.reason(RuntimeError(f"RESOURCE_EXHAUSTED: /x/ckpt-1.data; {os.strerror(number)}")) or (
        number == errno.EACCES
    )
    assert ("disk" in said) == (number in (errno.ENOSPC, errno.EDQUOT))
