"""Recordings in, batches of slices out: scan, decode once, crop, batch, as a `tf.data.Dataset`.

Every offset at which a slice may begin is equally likely. An epoch divides all offsets of all recordings into
strata of one hop and takes one random offset from each, in random order: it covers everything evenly, and over
epochs every offset has the same chance. The slice with the number n is a pure function of (seed, n), so a
batch is one of (seed, step, worker), and nothing about the stream has to be saved.
"""

import concurrent.futures
import functools
import os

import numpy as np

from wavegan_asmr.errors import UserError
from wavegan_asmr.progress import Meter, Timer
from wavegan_asmr.sound import cache_folder, files, labels
from wavegan_asmr.sound.data_folder import LeftOut, Recording, check_usable, find_files, path_of
from wavegan_asmr.sound.data_table import describe_decoding, duration, table, total_s
from wavegan_asmr.sound.files import AudioError
from wavegan_asmr.sound.pcm_cache import CacheError, PcmCache

__all__ = [
    "LeftOut",
    "Recording",
    "Slices",
    "find_files",
    "make_dataset",
    "open_configured",
    "open_recordings",
    "path_of",
    "table",
]

_PREFETCHED_BATCHES = 4
_PROBES, _PROBE_FRAMES = 8, 512
"""Stretches of a slice by which its level is told, and the frames of each."""
_MARK_S = 6 * 3600
"""Between notes that a stream of batches still reads its recordings."""


def open_recordings(data_dir, sample_rate_hz=16000, channels=1, fast_wav=False, cache_dir=None, show_progress=False):
    """Finds, probes and decodes the recordings of a folder; what is decoded already comes from the cache.

    Args:
        data_dir: Path-like, a folder, searched recursively, or one recording.
        sample_rate_hz: Integer, the rate wanted.
        channels: Integer, the channels wanted.
        fast_wav: Boolean, see `PcmCache`.
        cache_dir: Path-like or None for `cache_folder.default_folder()`.
        show_progress: Boolean, show a bar on stderr while decoding.

    Returns:
        List of `Recording` (never empty), and a list of `LeftOut`.

    Raises:
        UserError: Nothing can be used, or the cache cannot be written.
    """
    names, left_out = find_files(data_dir)
    cache = PcmCache(cache_dir or cache_folder.default_folder(), sample_rate_hz, channels, fast_wav)
    kept = cache_folder.sweep(cache.folder)
    paths = {name: path_of(data_dir, name) for name in names}
    pcms, to_decode = {}, {}
    for name, path in paths.items():
        try:
            pcms[name] = cache.get(path)
            if pcms[name] is None:
                to_decode[name] = files.probe(path)
        except (AudioError, OSError) as error:
            left_out.append(LeftOut.of(name, error))

    if show_progress and to_decode:
        print(f"decoding  {describe_decoding(to_decode.values(), cache.folder, kept)}", flush=True)
    with Meter("decoding", total_s(to_decode.values()), duration, is_shown=show_progress) as meter:

        def decode(name):
            info = to_decode[name]
            return cache.put(paths[name], info, lambda n: meter.advance(n / info.sample_rate_hz))

        # libsndfile and soxr let go of the interpreter, so threads use every core.
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            futures = {name: pool.submit(decode, name) for name in to_decode}
            try:
                for name, future in futures.items():
                    try:
                        pcms[name] = future.result()
                    except (AudioError, OSError) as error:
                        left_out.append(LeftOut.of(name, error))
            except CacheError as error:
                raise UserError(
                    f"cannot keep decoded recordings in {cache.folder!r}: {error}. Make room there "
                    f"({cache_folder.prune_command(cache.folder)}) or give another folder with --data_cache_dir."
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)

    recordings = [Recording(name, pcms[name], path) for name, path in paths.items() if pcms.get(name)]
    left_out.sort(key=lambda item: item.name)
    check_usable(recordings, left_out, data_dir)
    return recordings, left_out


def open_configured(config, data_dir=None, show_progress=False):
    """Opens the recordings that a `Config` asks for, see `open_recordings`; `data_dir` is in place of its folder."""
    return open_recordings(
        data_dir or config.data_dir,
        config.data_sample_rate,
        config.data_num_channels,
        fast_wav=config.data_fast_wav,
        cache_dir=config.data_cache_dir or None,
        show_progress=show_progress,
    )


class Slices:
    """The endless stream of random slices of recordings.

    Args:
        recordings: List of `Recording`, all with the same number of channels.
        slice_len: Integer, samples of a slice.
        overlap_ratio: Float in [0, 1), share that neighbouring slices of an epoch have in common on average.
        first_slice: Boolean, only the first slice of each recording.
        pad_end: Boolean, also slices that run over the end, padded with zeros.
        normalize: Boolean, scale each recording to a peak of 1.
        min_level_db: Float or None, leave out slices whose RMS is below, dB relative to full scale.
        seed: Integer >= 0.
        balance: Integer, slices in a row among which all levels of an epoch are dealt out evenly; 0 for any order.
        label_names: Sequence of strings, or none.
        label_of: List of integers, the place of the label of each recording in `label_names`, where there are some.

    Attributes:
        label_names: Tuple of strings, as given.
        label_shares: Tuple of floats, of the slices of an epoch, one a label.
        per_epoch: Integer, slices of an epoch.
        offsets: Integer, offsets at which a slice may begin: the number of different slices.
        silent_per_epoch: Integer, slices an epoch would have more without `min_level_db`.
        too_short: Integer, recordings too short for a slice.
        normalize, min_level_db: As given.
        error: The `UserError` that `read` raised last, or None; tf.data passes on its text only.

    Raises:
        UserError: Every recording is too short, or every slice is below the level.
    """

    def __init__(
        self,
        recordings,
        slice_len,
        overlap_ratio=0.0,
        first_slice=False,
        pad_end=False,
        normalize=False,
        min_level_db=None,
        seed=0,
        balance=0,
        label_names=(),
        label_of=(),
    ):
        self.slice_len = slice_len
        self.seed = seed
        self._balance = balance
        self.normalize = normalize
        self.min_level_db = min_level_db
        self.error = None
        self.channels = recordings[0].pcm.channels
        hop = max(1, round(slice_len * (1 - overlap_ratio)))
        self._pcms, self._gains, self._starts, self._labels, lengths = [], [], [], [], []
        self.per_epoch, self.silent_per_epoch, self.too_short = 0, 0, 0
        counts = np.zeros(len(label_names))
        for number, recording in enumerate(recordings):
            pcm = recording.pcm
            gain = 1 / pcm.peak if normalize and pcm.peak else 1.0
            stop = pcm.frames if pcm.frames and pad_end else pcm.frames - slice_len + 1
            if stop <= 0:
                self.too_short += 1
                continue
            stop = 1 if first_slice else stop
            intervals = [(0, stop)]
            if min_level_db is not None:
                intervals = _loud_offsets(pcm, stop, slice_len, 10 ** (min_level_db / 10) / gain**2)
            count = -(-sum(end - start for start, end in intervals) // hop)
            self.per_epoch += count
            self.silent_per_epoch += -(-stop // hop) - count
            if label_names:
                counts[label_of[number]] += count
                self._labels += [label_of[number]] * len(intervals)
            for start, end in intervals:
                self._pcms.append(pcm)
                self._gains.append(gain)
                self._starts.append(start)
                lengths.append(end - start)
        if self.too_short == len(recordings):
            longest = max(recording.pcm.frames for recording in recordings)
            raise UserError(
                f"every recording is shorter than a slice of {slice_len} samples; the longest has {longest}. Pad "
                "them with --data_pad_end (with --data_first_slice where a recording is one sound), or give a "
                "smaller --data_slice_len."
            )
        if not lengths:
            raise UserError(
                f"every slice is silent: none reaches --data_min_level_db. Received: {min_level_db}. Lower it."
            )
        self.label_names = tuple(label_names)
        self.label_shares = tuple((counts / max(1, counts.sum())).tolist())
        self._ends = np.cumsum(lengths)
        self.offsets = int(self._ends[-1])
        self._cached_epoch_positions = functools.lru_cache(maxsize=2)(self._epoch_positions)

    @classmethod
    def from_config(cls, recordings, config):
        """Returns the slices of recordings that a `Config` asks for.

        Raises:
            UserError: See `Slices`; or a recording has no label, or none that the training began with.
        """
        label_names, label_of = (), ()
        if config.data_labels:
            names = [recording.name for recording in recordings]
            label_names, label_of = labels.assign(names, config.data_labels, config.label_names)
        return cls(
            recordings,
            config.data_slice_len,
            overlap_ratio=config.data_overlap_ratio,
            first_slice=config.data_first_slice,
            pad_end=config.data_pad_end,
            normalize=config.data_normalize,
            min_level_db=config.data_min_level_db,
            seed=config.train_seed,
            balance=config.train_batch_size if config.data_balance_levels else 0,
            label_names=label_names,
            label_of=label_of,
        )

    def locate(self, numbers):
        """Says where slices begin.

        Args:
            numbers: int64 array `[n]`, the slices' numbers in the stream, >= 0.

        Returns:
            Two int64 arrays `[n]`: the interval of allowed offsets, and the offset in frames.
        """
        epochs, places = np.divmod(numbers, self.per_epoch)
        positions = np.empty(len(numbers), np.int64)
        for epoch in np.unique(epochs):
            chosen = epochs == epoch
            positions[chosen] = self._cached_epoch_positions(int(epoch))[places[chosen]]
        return self._places(positions)

    def _places(self, positions):
        """Intervals and offsets of positions among all allowed offsets, see `locate`."""
        intervals = np.searchsorted(self._ends, positions, side="right")
        before = np.where(intervals > 0, self._ends[intervals - 1], 0)
        return intervals, positions - before + np.asarray(self._starts)[intervals]

    def read(self, first, count):
        """Reads slices of the stream.

        Args:
            first: Integer, the number of the first slice.
            count: Integer.

        Returns:
            float32 array `[count, slice_len, channels]`.

        Raises:
            UserError: The cache's files are gone or damaged.
        """
        batch = np.empty([count, self.slice_len, self.channels], np.float32)
        try:
            for x, interval, offset in zip(batch, *self.locate(np.arange(first, first + count))):
                self._pcms[interval].read_into(x, int(offset))
                if self._gains[interval] != 1:
                    x *= self._gains[interval]
        except OSError as error:
            self.error = UserError(f"decoded recordings have gone: {error}. Run again to decode them anew.")
            raise self.error from error
        return batch

    def labels(self, first, count):
        """Returns the places of the labels of slices in `label_names`, int32 array `[count]`; see `read`."""
        intervals, _ = self.locate(np.arange(first, first + count))
        return np.asarray(self._labels, np.int32)[intervals]

    def mark_used(self):
        """Notes in the cache that the recordings are still read, so that pruning spares them."""
        for pcm in set(self._pcms):
            pcm.mark_used()

    def _epoch_positions(self, epoch):
        """Positions of an epoch's slices among all allowed offsets: int64 `[per_epoch]`."""
        random = np.random.default_rng([self.seed, epoch])
        strata = random.permutation(self.per_epoch) + random.random(self.per_epoch)
        total = int(self._ends[-1])
        positions = np.minimum((strata * (total / self.per_epoch)).astype(np.int64), total - 1)
        return positions[_deal(self._powers(positions), self._balance, random)] if self._balance else positions

    def _powers(self, positions):
        """About how loud the slices at some positions are: float64 `[n]`, mean squares."""
        powers = np.zeros(len(positions))
        probe = np.empty([min(_PROBE_FRAMES, self.slice_len), self.channels], np.float32)
        probes = np.linspace(0, self.slice_len - len(probe), _PROBES).astype(int)
        for number, (interval, offset) in enumerate(zip(*self._places(positions))):
            for first in probes:
                self._pcms[interval].read_into(probe, int(offset + first))
                powers[number] += np.vdot(probe, probe) * self._gains[interval] ** 2
        return powers / (_PROBES * probe.size)


def make_dataset(slices, batch_size, first_batch=0, worker=0, workers=1):
    """Streams batches: batch k of worker w holds the slices (k * workers + w) * batch_size and following.

    Args:
        slices: `Slices`.
        batch_size: Integer, slices of one worker's batch.
        first_batch: Integer, the number of the batch to begin with.
        worker: Integer in [0, workers).
        workers: Integer >= 1.

    Returns:
        Endless `tf.data.Dataset` of float32 `[batch_size, slice_len, channels]`, or, where slices have labels, of pairs
        of that and int32 `[batch_size]`, the places of labels.
    """
    import tensorflow as tf

    timer = Timer(_MARK_S)

    def first_of(number):
        return (int(number) * workers + worker) * batch_size

    def read(number):
        if timer.is_due():
            slices.mark_used()
        return slices.read(first_of(number), batch_size)

    def read_labels(number):
        return slices.labels(first_of(number), batch_size)

    def load(number):
        batch = tf.numpy_function(read, [number], tf.float32, stateful=False)
        batch = tf.ensure_shape(batch, [batch_size, slices.slice_len, slices.channels])
        if not slices.label_names:
            return batch
        found = tf.numpy_function(read_labels, [number], tf.int32, stateful=False)
        return batch, tf.ensure_shape(found, [batch_size])

    numbers = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max)
    return numbers.map(load, num_parallel_calls=1).prefetch(_PREFETCHED_BATCHES)


def _deal(powers, size, random):
    """Deals out slices so that about every `size` in a row are of all levels: a permutation, int64 `[n]`."""
    hands = [[] for _ in range(-(-len(powers) // size))]
    ranked = np.argsort(powers, kind="stable")
    for first in range(0, len(ranked), len(hands)):
        for hand, number in zip(random.permutation(len(hands)), ranked[first : first + len(hands)]):
            hands[hand].append(number)
    return np.concatenate([random.permutation(hand) for hand in hands])


def _loud_offsets(pcm, stop, slice_len, power):
    """Intervals [start, end) of the offsets below `stop` at which a slice's mean square reaches `power`."""
    edges, loud_before = [], False
    block = 1 << 20
    for first in range(0, stop, block):
        count = min(block, stop - first)
        x = np.empty([count + slice_len - 1, pcm.channels], np.float32)
        pcm.read_into(x, first)
        energy = np.concatenate([[0], np.cumsum(np.mean(np.square(x, dtype=np.float64), axis=1))])
        loud = energy[slice_len:] - energy[:-slice_len] >= power * slice_len
        changes = np.flatnonzero(np.diff(loud, prepend=loud_before))
        edges.extend((first + changes).tolist())
        loud_before = loud[-1]
    if loud_before:
        edges.append(stop)
    return list(zip(edges[::2], edges[1::2]))
