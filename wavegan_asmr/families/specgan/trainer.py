"""What is SpecGAN's own in its training: spectrograms, and the moments of the recordings'."""

import keras
import numpy as np
import tensorflow as tf

from wavegan_asmr.families.adversarial.trainer import AdversarialTrainer
from wavegan_asmr.families.specgan import networks
from wavegan_asmr.progress import Meter

_LEAST_DEVIATION = 1e-3
"""Of frequencies at which recordings have nothing, nepers."""


class SpecGANTrainer(AdversarialTrainer):
    """See `AdversarialTrainer`; the discriminator sees spectrograms, and no audio is made of the generator's."""

    def __init__(self, config, strategy):
        super().__init__(config, strategy)
        self._spectrograms = self.generator.get_layer("audio")
        self._make = keras.Model(self.generator.input, self.generator.get_layer("spectrogram").output)

    def begin(self, slices):
        """Takes the moments of the recordings at each frequency, over an epoch; see `Trainer.begin`."""
        bins = networks.WINDOW_LEN // 2 + 1
        count, sums, squares = 0, np.zeros(bins), np.zeros(bins)
        with Meter("moments", slices.per_epoch, lambda done: f"{done} slices") as meter:
            for first in range(0, slices.per_epoch, self.replica_batch_size):
                audio = slices.read(first, min(self.replica_batch_size, slices.per_epoch - first))
                x = networks.log_magnitudes(tf.constant(audio)).numpy().reshape(-1, bins).astype(float)
                count, sums, squares = count + len(x), sums + x.sum(axis=0), squares + (x**2).sum(axis=0)
                meter.advance(len(audio))
        means = sums / count
        deviations = np.sqrt(np.maximum(squares / count - means**2, 0))
        self._spectrograms.means.assign(means)
        self._spectrograms.deviations.assign(np.maximum(deviations, _LEAST_DEVIATION))
        self.begin_tuning()

    def describe(self):
        return super().describe() | {"moments": "of the recordings that the weights began with, stored with them"}

    def make(self, z):
        return None, self._make(z, training=True)

    def see(self, audio):
        return self._spectrograms.invert(audio)

    def discriminate(self, x, shuffle_seeds, given=None):
        """See `AdversarialTrainer.discriminate`; nothing is shuffled or listened to."""
        return self.discriminator(x, training=True)
