"""Training by the next sample: each is to be likely, given those before it in the recording."""

import math

import tensorflow as tf

from wavegan_asmr.families import family_of
from wavegan_asmr.families.autoregressive.network import bits_a_sample, bits_of_logits, classes_before
from wavegan_asmr.families.gradient_descent import GradientDescent
from wavegan_asmr.networks import mu_law
from wavegan_asmr.networks.optimizers import Adam

_BETAS = 0.9, 0.999
_LARGEST_NORM = 1.0
"""Of gradients: recurrent ones explode now and then (Pascanu et al. 2013)."""


class AutoregressiveTrainer(GradientDescent):
    """A network, its optimiser, its average; a step learns one batch of slices, segment by segment.

    The state of the network goes on from segment to segment of a slice, and gradients do not (truncated
    back-propagation through time). Bits a sample are -log2 of the probability that the network gave to what came.

    Args:
        config: `Config` of a precision that is not auto.
        strategy: `tf.distribute.Strategy`.

    Attributes:
        generator, ema: `keras.Model`s that draw clips; the last has averaged weights.
        network: `AutoregressiveNetwork`, that of the generator.
        optimizer: Keras optimiser.
        counts: int64 `[256]`, how often each class was in what was learned from.

    Raises:
        UserError: The batch cannot be divided among the devices.
    """

    def __init__(self, config, strategy):
        super().__init__(config, strategy)
        self._family = family_of(config)
        with strategy.scope():
            self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
            self.counts = tf.Variable(tf.zeros([mu_law.CLASSES], tf.int64), trainable=False, name="counts")
            self.generator = self._family.build_generator(config, config.train_precision)
            self.network = _network_of(self.generator)
            self.ema = self._family.build_generator(config) if config.train_ema else self.generator
            self.optimizer = self.build_optimizer(Adam(config.autoregressive_lr, *_BETAS), self.network)
        self._segment_len = self._family.segment_len(config)
        self.begin_tuning()
        parts = {"generator": self.generator, "optimizer": self.optimizer}
        self.checkpoint = self.make_checkpoint(parts, step=self.step, counts=self.counts)

    def parts_to_tune(self):
        return {"generator": self.generator}

    def describe(self):
        config = self.config
        updates = config.data_slice_len // self._segment_len
        return {
            "network": f"{self.generator.count_params():,} parameters, {self._family.describe_memory(config)}",
            "learning": f"{config.train_batch_size} slices a step, updates every {self._segment_len} samples, {updates}"
            " a step",
        }

    @tf.function
    def iterate(self, batches):
        """One iteration: a batch of slices, with an update for each of their segments.

        Args:
            batches: Iterator of float32 `[batch, samples, 1]`, distributed by the strategy.

        Returns:
            Dict of scalars: bits a sample, those that an order-0 code of all samples so far would take, and the norm of
            the gradient.
        """
        per_replica, counts, state = self.strategy.run(self._open, [next(batches)])
        self.counts.assign_add(self.strategy.reduce("SUM", counts, axis=None))
        segments = self.config.data_slice_len // self._segment_len
        sums = {name: tf.constant(0.0) for name in ("bits", "gradient_norm")}
        for segment in tf.range(segments):
            metrics, state = self.strategy.run(self._update, [per_replica, state, segment])
            metrics = self.mean_over_replicas(metrics)
            sums = {name: value + metrics[name] for name, value in sums.items()}
        self.update_ema()
        self.step.assign_add(1)
        return {name: value / segments for name, value in sums.items()} | {"order0_bits": self._order0_bits()}

    def measure(self, held_out):
        """Bits a sample of recordings that are not learned from, by the averaged network; see `Trainer.measure`."""
        return {"held_out_bits": self._held_out_bits(tf.constant(held_out)).numpy()}

    @tf.function
    def _held_out_bits(self, audio):
        return bits_a_sample(_network_of(self.ema), audio)

    def _open(self, audio):
        """Classes and those before them of a batch on one replica, int32 `[2, batch, samples]`; counts; a state."""
        classes = mu_law.encode(audio[..., 0])
        counts = tf.math.bincount(tf.reshape(classes, [-1]), minlength=mu_law.CLASSES, dtype=tf.int64)
        return tf.stack([classes, classes_before(classes)]), counts, self.network.start(self.replica_batch_size)

    def _update(self, both, state, segment):
        """An update by one segment on one replica."""
        first = segment * self._segment_len
        shape = [2, self.replica_batch_size, self._segment_len]
        classes, before = tf.unstack(tf.ensure_shape(tf.slice(both, [0, 0, first], shape), shape))
        with tf.GradientTape() as tape:
            logits, state = self.network(before, state)
            bits = bits_of_logits(logits, classes)
            scaled_loss = bits * self.scale(self.optimizer)
        norm = self.minimize(tape, scaled_loss, self.network, self.optimizer, _LARGEST_NORM)
        return {"bits": bits, "gradient_norm": norm}, tf.nest.map_structure(tf.stop_gradient, state)

    def _order0_bits(self):
        counts = tf.cast(self.counts, tf.float64)
        shares = counts / tf.reduce_sum(counts)
        return tf.cast(-tf.reduce_sum(tf.math.multiply_no_nan(tf.math.log(shares), shares)) / math.log(2), tf.float32)


def _network_of(generator):
    return generator.get_layer("audio").network
