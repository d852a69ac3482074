"""Training: the steps of both networks, the loop, progress, checkpoints and summaries."""

import dataclasses
import math
import os
import resource
import signal
import sys
import time

import keras
import numpy as np
import tensorflow as tf

import audio
import loader
import summaries
import wavegan
from config import Config, merge, model_settings
from errors import UserError
from losses import LOSSES
from train_dir import TrainDir, build_discriminator, build_generator, variables_by_name

_PREVIEWED = 32
"""Real slices and fixed latents that are kept to compare with."""
_TERMINAL_PROGRESS_S, _LOG_PROGRESS_S = 1.0, 10.0
_DISCRIMINATOR, _GENERATOR = 0, 1


class Trainer:
    """Both networks, their optimisers, and one iteration of training.

    Everything random in an iteration is a function of (seed, step), so resuming is exact.

    Args:
        config: `Config`.
        strategy: `tf.distribute.Strategy`.

    Attributes:
        step: int64 variable, generator updates done.
        checkpoint: `tf.train.Checkpoint` of everything that resuming needs.
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
        keras.utils.set_random_seed(config.train_seed)
        with strategy.scope():
            self.step = tf.Variable(0, dtype=tf.int64, trainable=False, name="step")
            self.generator = build_generator(config, config.train_precision)
            self.discriminator = build_discriminator(config, config.train_precision)
            self.ema = build_generator(config) if config.train_ema else self.generator
            optimizers = self.loss.optimizers()
            if config.train_precision == "mixed_float16":
                optimizers = [keras.optimizers.LossScaleOptimizer(each, name="loss_scale") for each in optimizers]
            self.generator_optimizer, self.discriminator_optimizer = optimizers
            self.generator_optimizer.build(self.generator.trainable_variables)
            self.discriminator_optimizer.build(self.discriminator.trainable_variables)
        self.reset_ema()
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        if config.train_ema:
            parts["ema"] = self.ema
        self.checkpoint = tf.train.Checkpoint(
            step=self.step, **{name: variables_by_name(part.variables) for name, part in parts.items()}
        )

    def reset_ema(self):
        """Makes the averaged generator equal to the generator."""
        if self.ema is not self.generator:
            self.ema.set_weights(self.generator.get_weights())

    def generate(self, z):
        """Generates with the averaged generator: float32 `[n, latent_dim]` -> `[n, samples, channels]`."""
        batches = [z[i : i + self.replica_batch_size] for i in range(0, len(z), self.replica_batch_size)]
        return np.concatenate([self.ema(batch, training=False).numpy() for batch in batches])

    @tf.function
    def iterate(self, batches):
        """One iteration: some discriminator updates, each on a fresh batch, and a generator update.

        Args:
            batches: Iterator of float32 `[batch, samples, channels]`, distributed by the strategy.

        Returns:
            Dict of scalars: losses, Wasserstein estimate, penalty, gradient norms.
        """
        updates = self.config.wavegan_disc_nupdates
        metrics = {name: tf.constant(0.0) for name in ("D_loss", "wasserstein", "penalty", "D_gradient_norm")}
        for update in tf.range(tf.cast(updates, tf.int64)):
            number = self.step * updates + update
            per_replica = self.strategy.run(self._random_discriminator_update, [next(batches), number])
            metrics = self._mean_over_replicas(per_replica)
            if self.loss.constrain:
                for weight in self.discriminator.trainable_variables:
                    self._assign(weight, self.loss.constrain)
        per_replica = self.strategy.run(self._random_generator_update, [self.step])
        metrics |= self._mean_over_replicas(per_replica)
        self._update_ema()
        self.step.assign_add(1)
        return metrics

    def update_discriminator(self, real, z, alpha, shuffle_seeds):
        """One update of the discriminator on one replica.

        Args:
            real: float32 `[batch, samples, channels]`.
            z: float32 `[batch, latent_dim]`.
            alpha: float32 `[batch, 1, 1]` in [0, 1], see `Loss.penalty`.
            shuffle_seeds: int32 `[3, 2]`, of the phase shuffles of real, fake and penalty.

        Returns:
            Dict of scalars.
        """
        fake = self.generator(z, training=True)
        shuffle_seeds = tf.unstack(shuffle_seeds)
        with tf.GradientTape() as tape:
            d_real = self.discriminator([real, shuffle_seeds[0]], training=True)
            d_fake = self.discriminator([fake, shuffle_seeds[1]], training=True)
            loss = self.loss.discriminator_loss(d_real, d_fake)
            penalty = self.loss.penalty(
                lambda x: self.discriminator([x, shuffle_seeds[2]], training=True), real, fake, alpha
            )
            loss += self.loss.penalty_weight * penalty
            scaled_loss = loss * self._scale(self.discriminator_optimizer)
        norm = self._minimize(tape, scaled_loss, self.discriminator, self.discriminator_optimizer)
        wasserstein = tf.reduce_mean(d_real) - tf.reduce_mean(d_fake)
        return {"D_loss": loss, "wasserstein": wasserstein, "penalty": penalty, "D_gradient_norm": norm}

    def update_generator(self, z, shuffle_seed):
        """One update of the generator on one replica.

        Args:
            z: float32 `[batch, latent_dim]`.
            shuffle_seed: int32 `[2]`, of the phase shuffle.

        Returns:
            Dict of scalars.
        """
        with tf.GradientTape() as tape:
            fake = self.generator(z, training=True)
            d_fake = self.discriminator([fake, shuffle_seed], training=True)
            loss = self.loss.generator_loss(d_fake)
            scaled_loss = loss * self._scale(self.generator_optimizer)
        norm = self._minimize(tape, scaled_loss, self.generator, self.generator_optimizer)
        return {"G_loss": loss, "G_gradient_norm": norm}

    def _random_discriminator_update(self, real, number):
        z_seed, alpha_seed, shuffle_seed = self._seeds(_DISCRIMINATOR, number, 3)
        alpha = tf.random.stateless_uniform([self.replica_batch_size, 1, 1], alpha_seed)
        return self.update_discriminator(real, self._latents(z_seed), alpha, tf.random.split(shuffle_seed, 3))

    def _random_generator_update(self, number):
        z_seed, shuffle_seed = self._seeds(_GENERATOR, number, 2)
        return self.update_generator(self._latents(z_seed), shuffle_seed)

    def _scale(self, optimizer):
        """Factor of the loss: its share of all replicas, and the scale that float16 needs."""
        # Keras optimisers sum the gradients of all replicas.
        return tf.cast(optimizer.scale_loss(1.0), tf.float32) / self.strategy.num_replicas_in_sync

    def _minimize(self, tape, scaled_loss, network, optimizer):
        """Applies the gradients of a scaled loss; returns the norm of those of the loss."""
        scale = self._scale(optimizer)
        gradients = tape.gradient(scaled_loss, [variable.value for variable in network.trainable_variables])
        norm = tf.linalg.global_norm(gradients) / scale
        optimizer.apply_gradients(zip(gradients, network.trainable_variables))
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


def make_loss(config):
    """Returns the `losses.Loss` of a `Config`."""
    return LOSSES[config.wavegan_loss](
        genr_lr=config.wavegan_genr_lr,
        disc_lr=config.wavegan_disc_lr,
        beta1=config.wavegan_beta1,
        beta2=config.wavegan_beta2,
        penalty_weight=config.wavegan_gp_lambda,
        clip=config.wavegan_clip,
    )


def choose_strategy():
    """Returns the `tf.distribute.Strategy` of this machine: all GPUs, the one GPU, or the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")


class Timer:
    """Answers "is it time?" for what happens every so many seconds.

    Args:
        interval_s: Float.
    """

    def __init__(self, interval_s):
        self.interval_s = interval_s
        self.last_s = time.monotonic()

    def is_due(self):
        """Returns whether the interval has passed since the last time it had."""
        now_s = time.monotonic()
        if now_s - self.last_s < self.interval_s:
            return False
        self.last_s = now_s
        return True


class StopSignal:
    """Context in which Ctrl-C and SIGTERM ask for a stop; the second one interrupts at once."""

    def __init__(self):
        self.received = False

    def __enter__(self):
        self._previous = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(self, *exception):
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _handle(self, number, frame):
        if self.received:
            raise KeyboardInterrupt
        self.received = True


def resolve_config(train_dir, given):
    """Settles the settings of a training: stored ones where it is resumed, flags, then defaults.

    Args:
        train_dir: `TrainDir`.
        given: Dict of setting name to value, those named on the command line.

    Returns:
        `Config` with the loss's own rates filled in.

    Raises:
        UserError: A setting that cannot change differs from the stored one, or --data_dir is missing.
    """
    if train_dir.has_config:
        stored = train_dir.read_config()
        # An imported training has no recordings yet: what is learned from them is still open.
        config = merge(stored, given, ("model", "training") if stored.data_dir else ("model",))
    elif source := given.get("train_init_from"):
        model = model_settings(TrainDir(source).read_config())
        config = merge(dataclasses.replace(Config(), **model), given, ("model",))
    else:
        config = Config(**given)
    if not config.data_dir:
        raise UserError("--data_dir is missing: a folder of recordings, such as --data_dir asmr/")
    loss = make_loss(config)
    beta1, beta2 = loss.betas or (None, None)
    return dataclasses.replace(
        config,
        wavegan_genr_lr=loss.genr_lr,
        wavegan_disc_lr=loss.disc_lr,
        wavegan_beta1=beta1,
        wavegan_beta2=beta2,
    )


def open_slices(config):
    """Opens the data set of a `Config` and prints its table.

    Returns:
        `loader.Slices`.

    Raises:
        UserError: Nothing in it can be used.
    """
    recordings, left_out = loader.open_recordings(
        config.data_dir,
        config.data_sample_rate,
        config.data_num_channels,
        fast_wav=config.data_fast_wav,
        cache_dir=config.data_cache_dir or None,
        show_progress=True,
    )
    slices = loader.Slices(
        recordings,
        config.data_slice_len,
        overlap_ratio=config.data_overlap_ratio,
        first_slice=config.data_first_slice,
        pad_end=config.data_pad_end,
        normalize=config.data_normalize,
        min_level_db=config.data_min_level_db,
        seed=config.train_seed,
    )
    print(f"data      {os.path.abspath(config.data_dir)}")
    print(loader.table(recordings, left_out, slices, config.data_sample_rate))
    return slices


def train(path, given, dry_run=False):
    """Trains until the budget is used up or a signal asks to stop; resumes what is there.

    Args:
        path: Path-like, TRAIN_DIR.
        given: Dict of setting name to value, those named on the command line.
        dry_run: Boolean, print settings and facts of the data, write nothing and stop.

    Raises:
        UserError: See `resolve_config`, `open_slices`, `TrainDir`; or the training diverged.
    """
    train_dir = TrainDir(path)
    if "data_dir" in given:
        given = given | {"data_dir": os.path.abspath(given["data_dir"])}
    config = resolve_config(train_dir, given)
    if dry_run:
        print(config.to_json(), end="")
        open_slices(config)
        return
    train_dir.create()
    with train_dir.lock():
        train_dir.sweep()
        slices = open_slices(config)
        strategy = choose_strategy()
        trainer = Trainer(config, strategy)
        _restore(trainer, train_dir)
        train_dir.write_config(config)
        _describe(trainer, train_dir)
        _loop(trainer, train_dir, slices)


def _restore(trainer, train_dir):
    """Restores the newest checkpoint, or the networks to fine-tune, or leaves the weights as drawn."""
    config = trainer.config
    if train_dir.steps():
        step = train_dir.restore(trainer.checkpoint)
        print(f"resuming  step {step}")
    elif config.train_init_from:
        source = TrainDir(config.train_init_from)
        networks = {"generator": trainer.generator, "discriminator": trainer.discriminator}
        step = source.restore(
            tf.train.Checkpoint(**{name: variables_by_name(part.variables) for name, part in networks.items()})
        )
        trainer.reset_ema()
        print(f"weights   of step {step} of {source}")


def _describe(trainer, train_dir):
    """Prints what runs, where things go, and the commands that follow."""
    config = trainer.config
    devices = ", ".join(trainer.strategy.extended.worker_devices)
    field = wavegan.receptive_field(config.data_slice_len, config.wavegan_kernel_len)
    rows = {
        "device": f"{devices} ({os.cpu_count()} cores), {config.train_precision}",
        "generator": f"{trainer.generator.count_params():,} parameters",
        "critic": f"{trainer.discriminator.count_params():,} parameters, "
        f"sees {1000 * field / config.data_sample_rate:.0f} ms at a time",
        "slice": f"{config.data_slice_len} samples, {config.slice_s:.2f} s",
        "loss": f"{config.wavegan_loss}, batch {config.train_batch_size}, "
        f"{config.wavegan_disc_nupdates} discriminator updates a step",
        "saved to": str(train_dir),
        "losses": f"tensorboard --logdir {train_dir}",
        "sounds": f"python preview.py {train_dir}",
        "resume": f"python train_wavegan.py train {train_dir}",
    }
    print("\n".join(f"{name:<9} {value}" for name, value in rows.items()), flush=True)


def _loop(trainer, train_dir, slices):
    """Iterates, shows progress, writes summaries and checkpoints; ends by budget or by a signal."""
    config, start_s = trainer.config, time.monotonic()
    step = int(trainer.step.numpy())
    batches = iter(_distribute(trainer, slices, step))
    writer = summaries.create_writer(train_dir.path)
    z = train_dir.latents(config, _PREVIEWED)
    real = slices.read(0, _PREVIEWED)
    audio.write_clips(train_dir.join("preview", "real.wav"), real, config.data_sample_rate)

    def save():
        train_dir.save(trainer.checkpoint, step, config.train_keep)

    def summarize():
        # Other reals and latents each time, and the same latents every time.
        random_z = np.random.default_rng([config.train_seed, step]).uniform(-1, 1, z.shape).astype(np.float32)
        clips = {
            "real": slices.read(step * _PREVIEWED, _PREVIEWED),
            "fake": trainer.generate(random_z),
            "fixed_latents": trainer.generate(z),
        }
        summaries.write_clips(writer, step, clips, config.data_sample_rate)

    if step == 0:
        summaries.write_text(writer, step, "config", config.to_json())
        summarize()
    if step not in train_dir.steps():
        save()
    saving, summarizing = Timer(config.train_save_secs), Timer(config.train_summary_secs)
    progress = Progress(config, step, start_s)
    with StopSignal() as stop:
        while not (stop.received or progress.is_over(step)):
            metrics = _iterate(trainer, batches, slices)
            step += 1
            _check_finite(metrics, step, trainer.config, train_dir)
            progress.add(metrics)
            if progress.is_due():
                summaries.write_scalars(writer, step, progress.show(step))
            if summarizing.is_due():
                summarize()
            if saving.is_due():
                save()
        if progress.has_news:
            summaries.write_scalars(writer, step, progress.show(step))
        if step not in train_dir.steps():
            save()
    writer.close()
    print(f"{'stopped' if stop.received else 'done'}      step {step}, saved to {train_dir}")


def _distribute(trainer, slices, step):
    """The batches of all updates from a step on, on the strategy's devices."""
    replicas = trainer.strategy.num_replicas_in_sync
    first = step * trainer.config.wavegan_disc_nupdates * replicas
    return trainer.strategy.distribute_datasets_from_function(
        lambda context: loader.make_dataset(slices, trainer.replica_batch_size, first)
    )


def _iterate(trainer, batches, slices):
    """One iteration; returns its metrics as floats."""
    try:
        return {name: float(value) for name, value in trainer.iterate(batches).items()}
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            "not enough memory for a training step; give a smaller --train_batch_size, --wavegan_dim or "
            f"--data_slice_len. {error.message.splitlines()[0][:200]}"
        ) from error
    except tf.errors.OpError as error:
        # TensorFlow wraps what the loader raised; say the loader's own words.
        raise slices.error or error from error


def _check_finite(metrics, step, config, train_dir):
    """Raises UserError where a metric is NaN or infinite: the weights are then lost."""
    # With float16 the optimisers skip infinite gradients and lower their scale.
    checked = [name for name in metrics if config.train_precision != "mixed_float16" or "gradient" not in name]
    for name in checked:
        if not math.isfinite(metrics[name]):
            raise UserError(
                f"training diverged: {name} is {metrics[name]} at step {step}. The checkpoint of step "
                f"{train_dir.steps()[-1]} is whole. Try smaller --wavegan_genr_lr and --wavegan_disc_lr, "
                "--train_precision float32, or --wavegan_loss wgan-gp."
            )


class Progress:
    """Gathers metrics between two lines of progress, and knows the budget.

    Args:
        config: `Config`.
        step: Integer, the step to begin with.
        start_s: Float, when the run began, `time.monotonic()`.
    """

    def __init__(self, config, step, start_s):
        self._config = config
        self._start_s = start_s
        self._first = (step, time.monotonic())
        self._sums, self._count = {}, 0
        self._last_s = time.monotonic()
        self._is_terminal = sys.stdout.isatty()
        self.is_due = Timer(_TERMINAL_PROGRESS_S if self._is_terminal else _LOG_PROGRESS_S).is_due

    @property
    def has_news(self):
        """Whether metrics were added since the last line."""
        return self._count > 0

    def is_over(self, step):
        """Returns whether the budget of steps or seconds is used up."""
        max_steps, max_s = self._config.train_max_steps, self._config.train_max_secs
        return 0 < max_steps <= step or 0 < max_s <= time.monotonic() - self._start_s

    def add(self, metrics):
        """Adds the metrics of an iteration, a dict of floats."""
        self._sums = {name: self._sums.get(name, 0.0) + value for name, value in metrics.items()}
        self._count += 1

    def show(self, step):
        """Prints the line of progress; returns the mean metrics since the last one, for TensorBoard."""
        config, now_s = self._config, time.monotonic()
        means = {name: value / self._count for name, value in self._sums.items()}
        step_s = (now_s - self._last_s) / self._count
        slices_per_s = config.train_batch_size * config.wavegan_disc_nupdates / step_s
        self._sums, self._count, self._last_s = {}, 0, now_s
        parts = [
            f"step {step}",
            f"D {means['D_loss']:.3f}",
            f"G {means['G_loss']:.3f}",
            f"W {means['wasserstein']:.3f}",
            f"{slices_per_s:.0f} slices/s",
            f"{step_s:.2f} s/step",
            f"{peak_memory_bytes() / 1e9:.1f} GB",
        ]
        if (left_s := self._seconds_left(step, now_s)) is not None:
            parts.append(f"ETA {_clock(left_s)}")
        line = "  ".join(parts)
        print(f"\r{line}\x1b[K" if self._is_terminal else line, end="" if self._is_terminal else "\n", flush=True)
        return means | {"slices_per_second": slices_per_s}

    def _seconds_left(self, step, now_s):
        first_step, first_s = self._first
        left_s = []
        if self._config.train_max_steps:
            mean_step_s = (now_s - first_s) / max(1, step - first_step)
            left_s.append((self._config.train_max_steps - step) * mean_step_s)
        if self._config.train_max_secs:
            left_s.append(self._config.train_max_secs - (now_s - self._start_s))
        return max(0, min(left_s)) if left_s else None


def peak_memory_bytes():
    """Returns the most memory this process has held."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak


def _clock(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
