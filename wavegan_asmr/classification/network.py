"""The network of a classifier: a small convolutional one on log-mel spectrograms."""

import hashlib
import json

import keras
import numpy as np

_BATCH = 64
# An epoch may be 20 batches, too few for the default of 0.99.
_MOMENTUM = 0.9


class Classifier:
    """A network from slices to probabilities of labels, untrained at first.

    Args:
        labels: List of at least two strings.
        sample_rate_hz: Integer.
        slice_len: Integer, samples.
        channels: Integer.

    Attributes:
        network: `keras.Model` from float32 `[n, slice_len, channels]` to float32 `[n, labels]`, probabilities.
    """

    def __init__(self, labels, sample_rate_hz, slice_len, channels):
        self.labels = labels
        self.sample_rate_hz, self.slice_len, self.channels = sample_rate_hz, slice_len, channels
        self.network = build_network(len(labels), sample_rate_hz, slice_len, channels)

    @property
    def digest(self):
        """Digest of labels and weights, a string."""
        weights = [weight.numpy().tobytes() for weight in self.network.weights]
        return hashlib.sha256(b"".join([json.dumps(self.labels).encode(), *weights])).hexdigest()

    def probabilities(self, x):
        """Returns the probabilities of labels, float32 `[n, labels]`, for float32 `[n, slice_len, channels]`."""
        batches = [self.network.predict_on_batch(x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)]
        return np.concatenate(batches)


def build_network(labels, sample_rate_hz, slice_len, channels):
    """Builds the network: 64 mel bands (window of 32 to 64 ms, a quarter of it a hop), four convolutions, softmax.

    Args:
        labels: Integer, how many.
        sample_rate_hz: Integer.
        slice_len: Integer, samples.
        channels: Integer.

    Returns:
        `keras.Model`, see `Classifier`.
    """
    layers = keras.layers
    # A power of two of at least 32 ms, in four hops; short slices at high rates have less.
    window_len = min(1 << (sample_rate_hz * 32 // 1000 - 1).bit_length(), slice_len // 8)
    log_mel = layers.MelSpectrogram(
        fft_length=window_len,
        sequence_stride=window_len // 4,
        sampling_rate=sample_rate_hz,
        num_mel_bins=64,
        mag_exp=2.0,
        min_power=1e-5,
        # It would be relative to the loudest slice of the batch.
        top_db=1e3,
        name="log_mel",
    )
    audio_in = keras.Input([slice_len, channels])
    x = keras.ops.stack([log_mel(audio_in[:, :, channel]) for channel in range(channels)], axis=-1)
    x = layers.BatchNormalization(momentum=_MOMENTUM, name="level")(x)
    for number, filters in enumerate((16, 32, 64, 128)):
        x = layers.Conv2D(filters, 3, padding="same", use_bias=False, name=f"conv_{number}")(x)
        x = layers.BatchNormalization(momentum=_MOMENTUM, name=f"norm_{number}")(x)
        x = layers.MaxPooling2D(2, padding="same")(layers.ReLU()(x))
    # The mean hears textures, the maximum events.
    x = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)])
    x = layers.Dropout(0.3)(x)
    return keras.Model(audio_in, layers.Dense(labels, activation="softmax", name="labels")(x))
