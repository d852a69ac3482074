"""What imitates recordings without having learned anything: the registry.

To add one, name it in `IMITATIONS`: the tables, the report, the measurements that are kept, and the benchmark
`sceptic` follow. Each is a class, made of `loader.Slices`, their rate in Hz and a seed, with

    read(first, count)    slices to measure, a source of sounds, see `anchors`
    pieces(number)        the pieces of a stream without end, one of many, for `cutting.stitch`
"""

from wavegan_asmr.evaluation.cutting import Quilted, Recut
from wavegan_asmr.evaluation.shaped_noise import ShapedNoise

IMITATIONS = {"re-cut": Recut, "quilted": Quilted, "shaped noise": ShapedNoise}
"""Name of a column -> the class that makes its sounds."""

VERSION = 1
"""Raised with every change of what they sound like: what is kept of other versions is measured anew."""

READING = (
    "re-cut and quilted are as near as it gets, because they are the recordings: they copy, and in a long file the "
    "same comes again (wavegan repeats); shaped noise has the statistics of their levels, and nothing else of them"
)
"""How their columns are to be read, in one line."""
