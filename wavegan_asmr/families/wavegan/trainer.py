"""What is WaveGAN's own in its training: bands, phase shuffle, labels and measures, texture, likeness."""

import keras
import numpy as np
import tensorflow as tf

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.adversarial.trainer import AdversarialTrainer, mean_power
from wavegan_asmr.networks import conditioning, filter_bank, texture
from wavegan_asmr.networks.likeness import likeness

_MEASURED = 256
"""Slices of which the levels of bands, and measures that are listened to, are measured."""
_QUANTILES = 33
_LEAST_SCALE = 1e-3
"""Of bands in which recordings have nothing."""


class WaveGANTrainer(AdversarialTrainer):
    """See `AdversarialTrainer`; where there are bands, the discriminator sees them.

    Raises:
        UserError: The batch cannot be divided among the devices, or has one slice whose texture is to be compared.
    """

    def __init__(self, config, strategy):
        super().__init__(config, strategy)
        compared = [name for name in ("wavegan_genr_texture", "wavegan_genr_likeness") if getattr(config, name)]
        if compared and self.replica_batch_size < 2:
            raise UserError(
                f"--{compared[0]} compares the slices of a batch: --train_batch_size must be at least 2 on each "
                f"device. Received: {self.replica_batch_size}."
            )
        self._bank = None
        if config.wavegan_bands > 1:
            self._bank = self.generator.get_layer("audio")
            outputs = [self.generator.output, self.generator.get_layer("bands").output]
            self._make_both = keras.Model(self.generator.input, outputs)

        self._quantiles = None
        if config.data_conditions:
            # Before recordings are known all slices are in the middle.
            shape = [len(config.data_conditions), _QUANTILES]
            with strategy.scope():
                self._quantiles = tf.Variable(tf.zeros(shape), trainable=False, name="quantiles")
            self.checkpoint.quantiles = self._quantiles
            self.state.append(self._quantiles)

    def begin_listening(self, slices):
        """Takes the quantiles of the recordings' measures; see `Trainer.begin_listening`."""
        if self._quantiles is None:
            return
        names = self.config.data_conditions
        measured = [
            conditioning.measure(tf.constant(slices.read(first, self.replica_batch_size)), names)
            for first in range(0, _MEASURED, self.replica_batch_size)
        ]
        places = np.linspace(0, 1, _QUANTILES)
        self._quantiles.assign(np.quantile(np.concatenate(measured), places, axis=0).T)

    def begin(self, slices):
        """Sets the levels of the bands to those of the recordings; see `Trainer.begin`."""
        if not self._bank:
            return
        powers, peaks = [], []
        for first in range(0, _MEASURED, self.replica_batch_size):
            bands = filter_bank.analyze(tf.constant(slices.read(first, self.replica_batch_size)), self._bank.bands)
            # The ends are not as the rest.
            edge = filter_bank.TAPS_A_BAND
            bands = tf.reshape(bands[:, edge:-edge], [-1, self._bank.bands])
            powers.append(tf.reduce_mean(bands**2, axis=0))
            peaks.append(tf.reduce_max(tf.abs(bands), axis=0))
        power = np.mean(powers, axis=0)
        # As loud as the recordings, but for what would be limited.
        scales = np.maximum(np.sqrt(power / power.mean()), np.max(peaks, axis=0))
        self._bank.scales.assign(np.maximum(scales, _LEAST_SCALE))
        self.begin_tuning()

    def make(self, z):
        return self._make_both(z, training=True) if self._bank else super().make(z)

    def see(self, audio):
        return self._bank.invert(audio) if self._bank else audio

    def listen(self, batch):
        config = self.config
        if batch is None or not config.given_dim:
            return batch, None
        audio, given = batch, []
        if config.label_names:
            audio, labels = batch
            given.append(tf.one_hot(labels, len(config.label_names)))
        if config.data_conditions:
            given.append(conditioning.rank(conditioning.measure(audio, config.data_conditions), self._quantiles))
        return audio, tf.concat(given, axis=1)

    def discriminate(self, x, shuffle_seeds, given=None):
        inputs = [x, shuffle_seeds] if given is None else [x, shuffle_seeds, given]
        return self.discriminator(inputs, training=True)

    def compare(self, audio, fake, real, place):
        """The texture, see `texture.distance`, and likeness."""
        config, loss, metrics = self.config, 0.0, {}
        if config.wavegan_genr_texture:
            metrics["texture"] = texture.distance(audio, real, mean_power(real), config.data_sample_rate, place)
            loss += config.wavegan_genr_texture * metrics["texture"]
        if config.wavegan_genr_likeness:
            metrics["likeness"] = likeness(fake)
            loss += config.wavegan_genr_likeness * tf.nn.relu(metrics["likeness"] - likeness(self.see(real)))
        return loss, metrics
