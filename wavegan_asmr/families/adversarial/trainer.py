"""One iteration of a GAN's training: the updates of both networks and of the averaged generator."""

import tensorflow as tf

from wavegan_asmr.families import family_of
from wavegan_asmr.families.adversarial.family import make_loss
from wavegan_asmr.families.gradient_descent import GradientDescent

_DISCRIMINATOR, _GENERATOR = 0, 1


class AdversarialTrainer(GradientDescent):
    """Both networks, their optimisers, and one iteration of training; a step is a generator update.

    A family says what the discriminator sees (`see`, `make`), how it is called (`discriminate`), and what else the
    generator learns from (`compare`).

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
        super().__init__(config, strategy)
        self.loss = make_loss(config)
        family = family_of(config)
        with strategy.scope():
            self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
            self.generator = family.build_generator(config, config.train_precision)
            self.discriminator = family.build_discriminator(config, config.train_precision)
            self.ema = family.build_generator(config) if config.train_ema else self.generator
            self.generator_optimizer, self.discriminator_optimizer = (
                self.build_optimizer(optimizer, network)
                for optimizer, network in zip(self.loss.optimizers(), (self.generator, self.discriminator))
            )
        self.begin_tuning()
        # Larger batches are faster in reduced precision, and not in float32. Batch normalisation is of each by itself.
        self._discriminates_at_once = config.train_precision != "float32" and not config.wavegan_batchnorm
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        self.checkpoint = self.make_checkpoint(parts, step=self.step)

    def parts_to_tune(self):
        return {"generator": self.generator, "discriminator": self.discriminator}

    def describe(self):
        config = self.config
        seen_s = family_of(config).receptive_field(config) / config.data_sample_rate
        return {
            "generator": f"{self.generator.count_params():,} parameters",
            "critic": f"{self.discriminator.count_params():,} parameters, sees {1000 * seen_s:.0f} ms at a time",
            "loss": f"{config.wavegan_loss}, batch {config.train_batch_size}, "
            f"{config.wavegan_disc_nupdates} discriminator updates a step",
        }

    @tf.function
    def iterate(self, batches):
        """One iteration: some discriminator updates, each on a fresh batch, and a generator update.

        Args:
            batches: Iterator of float32 `[batch, samples, channels]`, or of pairs of that and labels, int32 `[batch]`,
                distributed by the strategy.

        Returns:
            Dict of scalars: losses, Wasserstein estimate, penalty, gradient norms, and what the family compares.
        """
        self._anneal()
        updates = self.config.wavegan_disc_nupdates
        metrics = {name: tf.constant(0.0) for name in ("D_loss", "wasserstein", "penalty", "D_gradient_norm")}
        for update in tf.range(tf.cast(updates, tf.int64)):
            number = self.step * updates + update
            per_replica = self.strategy.run(self._random_discriminator_update, [next(batches), number])
            metrics = self.mean_over_replicas(per_replica)
            if self.loss.constrain:
                for weight in self.discriminator.trainable_variables:
                    self.assign(weight, self.loss.constrain)
        real = next(batches) if family_of(self.config).needs_recordings(self.config) else None
        per_replica = self.strategy.run(self._random_generator_update, [self.step, real])
        metrics |= self.mean_over_replicas(per_replica)
        self.update_ema()
        self.step.assign_add(1)
        return metrics

    def update_discriminator(self, real, z, alpha, shuffle_seeds, is_penalized=True):
        """One update of the discriminator on one replica.

        Args:
            real: float32 `[batch, samples, channels]`.
            z: float32 `[batch, latent_dim]`, and behind it what is listened to, the same of real and generated audio.
            alpha: float32 `[batch, 1, ...]` of the rank of what is seen, in [0, 1], see `Loss.penalty`.
            shuffle_seeds: int32 `[3, 2]`, of the phase shuffles of real, fake and penalty.
            is_penalized: Boolean or its tensor, whether it is one of the updates with a gradient penalty.

        Returns:
            Dict of scalars.
        """
        _, fake = self.make(z)
        real, given = self.see(real), self._given(z)
        # Under the condition below replicas cannot meet.
        power = mean_power(real)
        with tf.GradientTape() as tape:
            if self._discriminates_at_once:
                both = None if given is None else tf.concat([given, given], 0)
                d_real, d_fake = tf.split(self.discriminate(tf.concat([real, fake], 0), shuffle_seeds[:2], both), 2)
            else:
                d_real, d_fake = (
                    self.discriminate(x, shuffle_seeds[i : i + 1], given) for i, x in enumerate([real, fake])
                )
            loss = self.loss.discriminator_loss(d_real, d_fake)

            def penalize():
                return self.loss.penalty(
                    lambda x: self.discriminate(x, shuffle_seeds[2:], given), real, fake, alpha, power
                )

            every = self.config.wavegan_gp_every
            penalty = penalize() if every == 1 else tf.cond(tf.convert_to_tensor(is_penalized), penalize, lambda: 0.0)
            loss += self.loss.penalty_weight * every * penalty
            scaled_loss = loss * self.scale(self.discriminator_optimizer)
        norm = self.minimize(tape, scaled_loss, self.discriminator, self.discriminator_optimizer)
        wasserstein = tf.reduce_mean(d_real) - tf.reduce_mean(d_fake)
        return {"D_loss": loss, "wasserstein": wasserstein, "penalty": penalty, "D_gradient_norm": norm}

    def update_generator(self, z, shuffle_seed, real=None, place=0.0):
        """One update of the generator on one replica.

        Args:
            z: float32 `[batch, latent_dim]`, and behind it what is listened to, that of `real`.
            shuffle_seed: int32 `[2]`, of the phase shuffle.
            real: float32 `[batch, samples, channels]`, with which it is compared, or None.
            place: Scalar in [0, 1], see `compare`.

        Returns:
            Dict of scalars.
        """
        with tf.GradientTape() as tape:
            (audio, fake), given = self.make(z), self._given(z)
            d_fake = self.discriminate(fake, shuffle_seed[None], given)
            d_real = self.discriminate(self.see(real), shuffle_seed[None], given) if self.loss.compares else None
            loss = self.loss.generator_loss(d_fake, d_real)
            compared, metrics = self.compare(audio, fake, real, place)
            loss += compared
            scaled_loss = loss * self.scale(self.generator_optimizer)
        norm = self.minimize(tape, scaled_loss, self.generator, self.generator_optimizer)
        return metrics | {"G_loss": loss, "G_gradient_norm": norm}

    def _random_discriminator_update(self, batch, number):
        real, given = self.listen(batch)
        z_seed, alpha_seed, shuffle_seed = self._seeds(_DISCRIMINATOR, number, 3)
        rank = len(self.discriminator.inputs[0].shape)
        alpha = tf.random.stateless_uniform([self.replica_batch_size] + [1] * (rank - 1), alpha_seed)
        is_penalized = number % self.config.wavegan_gp_every == 0
        shuffle_seeds = tf.random.split(shuffle_seed, 3)
        return self.update_discriminator(real, self.latents(z_seed, given), alpha, shuffle_seeds, is_penalized)

    def _random_generator_update(self, number, batch):
        real, given = self.listen(batch)
        z_seed, shuffle_seed, place_seed = self._seeds(_GENERATOR, number, 3)
        place = tf.random.stateless_uniform([], place_seed)
        return self.update_generator(self.latents(z_seed, given), shuffle_seed, real, place)

    def listen(self, batch):
        """Returns recordings, float32 `[batch, samples, channels]`, and what the networks listen to of them.

        Args:
            batch: See `iterate`; None where there is none.

        Returns:
            Audio, and float32 `[batch, labels + measures]` or None.
        """
        return batch, None

    def make(self, z):
        """Makes audio, and what the discriminator sees of it.

        Args:
            z: float32 `[batch, latent_dim]`, see `update_generator`.

        Returns:
            float32 `[batch, samples, channels]`, or None where only `compare` would need it, and the input of
            `discriminate`.
        """
        audio = self.generator(z, training=True)
        return audio, audio

    def see(self, audio):
        """Returns what the discriminator sees of recordings, float32 `[batch, samples, channels]`."""
        return audio

    def discriminate(self, x, shuffle_seeds, given=None):
        """The logits of one or more batches.

        Args:
            x: float32 `[batches * batch, ...]`, see `see`.
            shuffle_seeds: int32 `[batches, 2]`, of the phase shuffle of each batch.
            given: float32 `[batches * batch, labels + measures]`, see `listen`.

        Returns:
            float32 `[batches * batch]`.
        """
        raise NotImplementedError

    def compare(self, audio, fake, real, place):
        """What the generator learns from besides the game.

        Args:
            audio, fake: float32 `[batch, samples, channels]`, and what is seen of it, see `make`.
            real: float32 of the shape of `audio`, or None.
            place: Scalar in [0, 1], drawn anew for each update.

        Returns:
            Scalar that is added to its loss, and a dict of scalars, metrics.
        """
        return 0.0, {}

    def _seeds(self, network, number, count):
        """Seeds that are a function of (seed, network, update, replica): int32 `[2]` each."""
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        seed = tf.stack([tf.constant(self.config.train_seed), network])
        for datum in (number, replica):
            seed = tf.random.experimental.stateless_fold_in(seed, tf.cast(datum, tf.int32))
        return tf.unstack(tf.random.split(seed, count))

    def latents(self, seed, given=None):
        shape = [self.replica_batch_size, self.config.wavegan_latent_dim]
        z = tf.random.stateless_uniform(shape, seed, -1.0, 1.0)
        return z if given is None else tf.concat([z, given], axis=1)

    def _given(self, z):
        """What is listened to, behind latent vectors; None where nothing is."""
        return z[:, self.config.wavegan_latent_dim :] if self.config.given_dim else None

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
            self.assign(optimizer.learning_rate, lambda _, annealed: annealed, rate * share)


def mean_power(x):
    """The mean square over all replicas, so that several learn what one does."""
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.MEAN, tf.reduce_mean(x**2))
