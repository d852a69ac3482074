"""Trainings and shared models to show that need no training: random weights."""

import os

import numpy as np
import soundfile
import tensorflow as tf
from random_generators import random_network, share

from wavegan_asmr.config import Config
from wavegan_asmr.families import family_of
from wavegan_asmr.train_dir import TrainDir, variables_by_name

STEP = 200


def config_of(**settings):
    return Config(**{"data_slice_len": 4096, "wavegan_dim": 2, "wavegan_latent_dim": 10} | settings)


def make_training(path, data_dir="", seed=0, **settings):
    """Makes a TRAIN_DIR of one checkpoint and half an hour of training; returns its path."""
    config = config_of(data_dir=str(data_dir), **settings)
    network = random_network(
        seed, slice_len=config.data_slice_len, dim=2, latent_dim=10, channels=config.data_num_channels
    )
    *_, last = (each for each in network.layers if hasattr(each, "strides"))
    last.kernel.assign(0.2 * last.kernel)
    train_dir = TrainDir(path)
    train_dir.create()
    train_dir.write_config(config)
    part = family_of(config).generator_part(config)
    train_dir.save(tf.train.Checkpoint(**{part: variables_by_name(network.variables)}), STEP, keep=1)
    with tf.io.TFRecordWriter(os.path.join(path, "events.out.tfevents.1000.vm.1.0.v2")) as writer:
        for time_s, step in ((1000, 0), (2800, STEP), (9000, STEP + 1)):
            writer.write(tf.compat.v1.Event(wall_time=time_s, step=step).SerializeToString())
    return path


def make_model(path, seed=0, **settings):
    """Makes a shared model; returns its path."""
    share(path, config_of(**settings), seed)
    return path


def write_sweep(path, seconds, rate_hz, channels=1, gain=0.1):
    """Writes a recording whose pitch tells the time: 500 Hz, and 100 more each second."""
    times = np.arange(round(seconds * rate_hz)) / rate_hz
    sweep = gain * np.sin(2 * np.pi * (500 + 50 * times) * times)
    soundfile.write(path, np.repeat(sweep[:, None], channels, axis=1), rate_hz)


def time_of(x, rate_hz, at_s):
    """The time in a sweep, s, of a place in an excerpt of it."""
    middle = round(at_s * rate_hz)
    part = x[middle - 4096 : middle + 4096, 0] * np.hanning(8192)
    return (np.abs(np.fft.rfft(part, 1 << 17)).argmax() * rate_hz / (1 << 17) - 500) / 100
