"""`wavegan repeats`."""

import os

from wavegan_asmr import words
from wavegan_asmr.errors import UserError

USAGE = """How much of a long sound comes again: the share of a file in stretches that are elsewhere in it, too.

    wavegan repeats night.flac
    wavegan repeats night.flac recut.flac loop.mp3

A stretch comes again where the same samples do, whatever their level; that something sounds alike does not count. What
comes again within 2 s already, such as a hum or a clock, or a model whose pieces are all the same, is told apart.
"""

SETTINGS = ()


def main(arguments, flags):
    if not arguments or not all(arguments):
        raise UserError(f"repeats takes one or more sound files. Received: {' '.join(arguments)!r}.")
    for path in arguments:
        if not os.path.isfile(path):
            raise UserError(f"repeats takes sound files. Received: {path!r}, which is none.")
    from wavegan_asmr.sound.repetition import LENGTHS_S

    heads = [*(f"{length:g} s" for length in LENGTHS_S), "in 2 s"]
    print(f"{'length':>8}{''.join(f'{head:>10}' for head in heads)}  file", flush=True)
    for path in arguments:
        _show(path)


def _show(path):
    from wavegan_asmr.progress import Meter, clock
    from wavegan_asmr.sound import files, repetition

    name = words.printable(path)
    try:
        info = files.probe(path)
        # All of it is read, and then looked for.
        total_s = 2 * info.frames / info.sample_rate_hz if info.frames else None
        with Meter(f"{name}: repeats", total_s, lambda done: clock(done / 2)) as meter:
            found = repetition.measure(path, meter.advance)
    except files.AudioError as error:
        raise UserError(f"{name} {error}.") from error
    except OSError as error:
        raise UserError(f"{name} cannot be read: {words.reason(error)}.") from error
    shares = "".join(f"{share:>10.1%}" for share in [*found.shares.values(), found.periodic])
    print(f"{clock(found.seconds):>8}{shares}  {name}", flush=True)
    if found.longest_s:
        places = f"at {clock(found.first_s)} and at {clock(found.again_s)}"
        print(f"          the longest: {found.longest_s:.1f} s, {places}", flush=True)
