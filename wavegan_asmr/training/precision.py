"""The arithmetic that is fastest on this machine, found by trying."""

import dataclasses
import gc

import numpy as np
import tensorflow as tf

from wavegan_asmr.families import family_of
from wavegan_asmr.training import timing

CANDIDATES = ("float32", "mixed_bfloat16")
"""float16 is none of them: it needs a loss scale, and its range is small."""

_HOPELESS = 2.0
"""Processors without bfloat16 emulate it, ten times slower: a whole iteration would take minutes."""


def choose_precision(config, strategy):
    """Times one iteration of training in each precision, and says what it found.

    A precision whose forward pass takes twice as long as that of float32 is left out before.

    Args:
        config: `Config`.
        strategy: `tf.distribute.Strategy`.

    Returns:
        String, the precision of the fastest iteration.
    """
    shortened = family_of(config).shortened(config)
    what = "an iteration" if shortened == config else f"an iteration of slices of {shortened.data_slice_len} samples"
    config = shortened
    with timing.alone():
        print(f"precision timing {what} in {' and in '.join(CANDIDATES)} ...", flush=True)
        forward_s = timing.fastest_of({each: family_of(config).forward(config, each) for each in CANDIDATES})
        hopeful = [each for each in CANDIDATES if forward_s[each] < _HOPELESS * forward_s["float32"]]
        iteration_s = {}
        for each in hopeful:
            iteration_s[each] = _time_iteration(dataclasses.replace(config, train_precision=each), strategy)
            # Two trainers may not fit where one does.
            gc.collect()
    fastest = min(iteration_s, key=iteration_s.get)
    found = [
        f"{each} {iteration_s[each]:.2f} s" if each in hopeful else f"{each} is not what this processor is made for"
        for each in CANDIDATES
    ]
    print(f"precision {fastest}: {what} takes {', '.join(found)}", flush=True)
    return fastest


def _time_iteration(config, strategy):
    trainer = family_of(config).make_trainer(config, strategy)
    batches = constant_batches(config, strategy)
    seconds = timing.fastest_of({"": lambda: [value.numpy() for value in trainer.iterate(batches).values()]})
    return seconds[""]


def constant_batches(config, strategy):
    """Returns batches for `Trainer.iterate`, of the same noise for ever."""
    shape = [config.train_batch_size, config.data_slice_len, config.data_num_channels]
    real = np.random.default_rng(0).uniform(-0.1, 0.1, shape).astype(np.float32)
    batch = (real, np.zeros(config.train_batch_size, np.int32)) if config.label_names else real
    dataset = tf.data.Dataset.from_tensors(batch).repeat()
    return iter(strategy.experimental_distribute_dataset(dataset))
