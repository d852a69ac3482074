"""One iteration of training: the updates of both networks and of the averaged generator."""

import keras
import numpy as np
import tensorflow as tf

import wavegan
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.families.family import Trainer
from wavegan_asmr.families.generators import generate_clips
from wavegan_asmr.families.wavegan.family import make_loss, needs_recordings, seen_shape
from wavegan_asmr.networks import filter_bank, texture
from wavegan_asmr.train_dir import variables_by_name

_DISCRIMINATOR, _GENERATOR = 0, 1
_MEASURED = 256
"""Slices of which the levels of bands are measured."""
_LEAST_SCALE = 1e-3
"""Of bands in which recordings have nothing."""


class WaveGANTrainer(Trainer):
    """Both networks, their optimisers, and one iteration of training; a step is a generator update.

    Args:
        config: `Config` of a precision that is not auto.
        strategy: `tf.distribute.Strategy`.

    Attributes:
        generator, discriminator, ema: `keras.Model`s; the last is the averaged generator.
        generator_optimizer, discriminator_optimizer: Keras optimisers.
        loss: `losses.Loss`.

    Raises:
        UserError: The batch cannot be divided among the devices.
    """

    def __init__(self, config, strategy):
        self.config = config
        self.strategy = strategy
        self.loss = make_loss(config)
        self.replica_batch_size, rest = divmod(config.train_batch_size, strategy.num_replicas_in_sync)
        if rest:
            raise UserError(
                f"--train_batch_size must be a multiple of the {strategy.num_replicas_in_sync} devices. "
                f"Received: {config.train_batch_size}."
            )
        if config.wavegan_genr_texture and self.replica_batch_size < 2:
            raise UserError(
                "--wavegan_genr_texture compares the slices of a batch: --train_batch_size must be at least 2 on each "
                f"device. Received: {self.replica_batch_size}."
            )
        keras.utils.set_random_seed(config.train_seed)
        with strategy.scope():
            self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
            self.generator = family_of(config).build_generator(config, config.train_precision)
            self.discriminator = build_discriminator(config, config.train_precision)
            self.ema = family_of(config).build_generator(config) if config.train_ema else self.generator
            optimizers = self.loss.optimizers()
            if config.train_precision == "mixed_float16":
                optimizers = [keras.optimizers.LossScaleOptimizer(each, name="loss_scale") for each in optimizers]
            self.generator_optimizer, self.discriminator_optimizer = optimizers
            self.generator_optimizer.build(self.generator.trainable_variables)
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        if config.wavegan_bands > 1:
            self._bank = self.generator.get_layer("audio")
            outputs = [self.generator.output, self.generator.get_layer("bands").output]
            self._make_both = keras.Model(self.generator.input, outputs)
        else:
            self._bank = None
        self.begin_tuning()
        # Larger batches are faster in reduced precision, and not in float32. Batch normalisation is of each by itself.
        self._discriminates_at_once = config.train_precision != "float32" and not config.wavegan_batchnorm
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        if config.train_ema:
            parts["ema"] = self.ema
        # Learning rates are settings, not state.
        self.checkpoint = tf.train.Checkpoint(
            step=self.step,
            **{
                name: variables_by_name([v for v in part.variables if v.name != "learning_rate"])
                for name, part in parts.items()
            },
        )

    def begin(self, read):
        """Sets the levels of the bands to those of the recordings; see `Trainer.begin`."""
        if not self._bank:
            return
        powers, peaks = [], []
        for first in range(0, _MEASURED, self.replica_batch_size):
            bands = filter_bank.analyze(tf.constant(read(first, self.replica_batch_size)), self._bank.bands)
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

    def parts_to_tune(self):
        return {"generator": self.generator, "discriminator": self.discriminator}

    def begin_tuning(self):
        """Makes the averaged generator equal to the generator."""
        if self.ema is not self.generator:
            self.ema.set_weights(self.generator.get_weights())

    def generate(self, inputs):
        """Makes clips with the averaged generator, see `Trainer.generate`."""
        return generate_clips(self.ema, inputs, self.replica_batch_size)

    def describe(self):
        config = self.config
        field = config.wavegan_bands * wavegan.receptive_field(seen_shape(config)[0], config.wavegan_kernel_len)
        return {
            "generator": f"{self.generator.count_params():,} parameters",
            "critic": f"{self.discriminator.count_params():,} parameters, "
            f"sees {1000 * field / config.data_sample_rate:.0f} ms at a time",
            "loss": f"{config.wavegan_loss}, batch {config.train_batch_size}, "
            f"{config.wavegan_disc_nupdates} discriminator updates a step",
        }

    def prepare(self, batches):
        """Builds the graph of an iteration, which keeps the forms of convolutions chosen now (see `polyphase`)."""
        super().prepare(batches)
        self.iterate.get_concrete_function(batches)

    @tf.function
    def iterate(self, batches):
        """One iteration: some discriminator updates, each on a fresh batch, and a generator update.

        Args:
            batches: Iterator of float32 `[batch, samples, channels]`, distributed by the strategy.

        Returns:
            Dict of scalars: losses, Wasserstein estimate, penalty, gradient norms, and the texture's distance.
        """
        self._anneal()
        updates = self.config.wavegan_disc_nupdates
        metrics = {name: tf.constant(0.0) for name in ("D_loss", "wasserstein", "penalty", "D_gradient_norm")}
        for update in tf.range(tf.cast(updates, tf.int64)):
            number = self.step * updates + update
            per_replica = self.strategy.run(self._random_discriminator_update, [next(batches), number])
            metrics = self._mean_over_replicas(per_replica)
            if self.loss.constrain:
                for weight in self.discriminator.trainable_variables:
                    self._assign(weight, self.loss.constrain)
        real = next(batches) if needs_recordings(self.config) else None
        per_replica = self.strategy.run(self._random_generator_update, [self.step, real])
        metrics |= self._mean_over_replicas(per_replica)
        self._update_ema()
        self.step.assign_add(1)
        return metrics

    def update_discriminator(self, real, z, alpha, shuffle_seeds, is_penalized=True):
        """One update of the discriminator on one replica.

        Args:
            real: float32 `[batch, samples, channels]`.
            z: float32 `[batch, latent_dim]`.
            alpha: float32 `[batch, 1, 1]` in [0, 1], see `Loss.penalty`.
            shuffle_seeds: int32 `[3, 2]`, of the phase shuffles of real, fake and penalty.
            is_penalized: Boolean or its tensor, whether it is one of the updates with a gradient penalty.

        Returns:
            Dict of scalars.
        """
        _, fake = self._make(z)
        real = self._divide(real)
        # Under the condition below replicas cannot meet.
        power = _mean_power(real)
        with tf.GradientTape() as tape:
            if self._discriminates_at_once:
                d_real, d_fake = tf.split(self._discriminate(tf.concat([real, fake], 0), shuffle_seeds[:2]), 2)
            else:
                d_real, d_fake = (self._discriminate(x, shuffle_seeds[i : i + 1]) for i, x in enumerate([real, fake]))
            loss = self.loss.discriminator_loss(d_real, d_fake)

            def penalize():
                return self.loss.penalty(lambda x: self._discriminate(x, shuffle_seeds[2:]), real, fake, alpha, power)

            every = self.config.wavegan_gp_every
            penalty = penalize() if every == 1 else tf.cond(tf.convert_to_tensor(is_penalized), penalize, lambda: 0.0)
            loss += self.loss.penalty_weight * every * penalty
            scaled_loss = loss * self._scale(self.discriminator_optimizer)
        norm = self._minimize(tape, scaled_loss, self.discriminator, self.discriminator_optimizer)
        wasserstein = tf.reduce_mean(d_real) - tf.reduce_mean(d_fake)
        return {"D_loss": loss, "wasserstein": wasserstein, "penalty": penalty, "D_gradient_norm": norm}

    def update_generator(self, z, shuffle_seed, real=None):
        """One update of the generator on one replica.

        Args:
            z: float32 `[batch, latent_dim]`.
            shuffle_seed: int32 `[2]`, of the phase shuffle.
            real: float32 `[batch, samples, channels]`, whose texture it should have or with which the loss compares,
                or None.

        Returns:
            Dict of scalars.
        """
        with tf.GradientTape() as tape:
            fake, seen = self._make(z)
            d_fake = self._discriminate(seen, shuffle_seed[None])
            d_real = self._discriminate(self._divide(real), shuffle_seed[None]) if self.loss.compares else None
            loss = self.loss.generator_loss(d_fake, d_real)
            metrics = {}
            if self.config.wavegan_genr_texture and real is not None:
                metrics["texture"] = texture.distance(fake, real, _mean_power(real), self.config.data_sample_rate)
                loss += self.config.wavegan_genr_texture * metrics["texture"]
            scaled_loss = loss * self._scale(self.generator_optimizer)
        norm = self._minimize(tape, scaled_loss, self.generator, self.generator_optimizer)
        return metrics | {"G_loss": loss, "G_gradient_norm": norm}

    def _random_discriminator_update(self, real, number):
        z_seed, alpha_seed, shuffle_seed = self._seeds(_DISCRIMINATOR, number, 3)
        alpha = tf.random.stateless_uniform([self.replica_batch_size, 1, 1], alpha_seed)
        is_penalized = number % self.config.wavegan_gp_every == 0
        shuffle_seeds = tf.random.split(shuffle_seed, 3)
        return self.update_discriminator(real, self._latents(z_seed), alpha, shuffle_seeds, is_penalized)

    def _random_generator_update(self, number, real):
        z_seed, shuffle_seed = self._seeds(_GENERATOR, number, 2)
        return self.update_generator(self._latents(z_seed), shuffle_seed, real)

    def _scale(self, optimizer):
        """Factor of the loss: its share of all replicas, and the scale that float16 needs."""
        # Keras optimisers sum the gradients of all replicas.
        return tf.cast(optimizer.scale_loss(1.0), tf.float32) / self.strategy.num_replicas_in_sync

    def _make(self, z):
        """Generated audio, and what the discriminator sees of it: the audio or its bands."""
        if self._bank:
            return self._make_both(z, training=True)
        audio = self.generator(z, training=True)
        return audio, audio

    def _divide(self, audio):
        """What the discriminator sees of recordings."""
        return self._bank.invert(audio) if self._bank else audio

    def _discriminate(self, x, shuffle_seeds):
        """The logits of one or more batches, each with a seed of its phase shuffle: int32 `[batches, 2]`."""
        return self.discriminator([x, shuffle_seeds], training=True)

    def _minimize(self, tape, scaled_loss, network, optimizer):
        """Applies the gradients of a scaled loss to a network; returns the norm of those of the loss."""
        scale, variables = self._scale(optimizer), network.trainable_variables
        gradients = tape.gradient(scaled_loss, [variable.value for variable in variables])
        norm = tf.linalg.global_norm(gradients) / scale
        optimizer.apply_gradients(zip(gradients, variables))
        return norm

    def _seeds(self, network, number, count):
        """Seeds that are a function of (seed, network, update, replica): int32 `[2]` each."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([tf.constant(self.config.train_seed), network])
        for datum in (number, replica):
            seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(datum, tf.int32))
        return tf.unstack(tf.random.split(seed, count))

    def _latents(self, seed):
        shape = [self.replica_batch_size, self.config.wavegan_latent_dim]
        return tf.random.stateless_uniform(shape, seed, -1.0, 1.0)

    def _mean_over_replicas(self, per_replica):
        return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in per_replica.items()}

    def _anneal(self):
        """Lets the learning rates fall with the root of the updates done, after the first --wavegan_lr_hold."""
        hold = self.config.wavegan_lr_hold
        if not hold:
            return
        share = tf.sqrt(hold / tf.cast(tf.maximum(self.step, hold), tf.float32))
        for optimizer, rate in (
            (self.generator_optimizer, self.loss.genr_lr),
            (self.discriminator_optimizer, self.loss.disc_lr),
        ):
            self._assign(optimizer.learning_rate, lambda _, annealed: annealed, rate * share)

    def _assign(self, variable, function, *arguments):
        """Sets a variable, on every replica, to a function of itself and other variables."""
        self.strategy.extended.update(
            variable.value, lambda v, *args: v.assign(function(v, *args)), args=arguments, group=False
        )

    def _update_ema(self):
        if self.ema is self.generator:
            return
        # Early on the average must not remember the untrained generator for a thousand steps.
        step = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.config.train_ema, (1 + step) / (10 + step))
        for averaged, variable in zip(self.ema.variables, self.generator.variables):
            self._assign(averaged, lambda a, v: v + decay * (a - v), variable.value)


def _mean_power(x):
    """The mean square over all replicas, so that several learn what one does."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(x**2))


def build_discriminator(config, precision="float32"):
    """Builds the discriminator of a `Config`; `precision` is its Keras dtype policy."""
    length, channels = seen_shape(config)
    return wavegan.build_discriminator(
        slice_len=length,
        channels=channels,
        kernel_len=config.wavegan_kernel_len,
        dim=config.wavegan_dim,
        batchnorm=config.wavegan_batchnorm,
        phaseshuffle=config.wavegan_disc_phaseshuffle,
        phaseshuffle_per=config.wavegan_disc_phaseshuffle_per,
        dtype=precision,
    )
