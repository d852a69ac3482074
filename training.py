"""Training: settling the settings, and the loop with its checkpoints and summaries."""

import contextlib
import dataclasses
import math
import os
import signal
import time

import numpy as np
import tensorflow as tf

import audio
import loader
import summaries
import wavegan
from config import PRESETS, Config, merge, model_settings
from early_stopping import EarlyStopping
from errors import UserError
from precision import choose_precision
from progress import Progress, Timer
from train_dir import TrainDir, variables_by_name
from trainer import Trainer, choose_strategy, make_loss

_PREVIEWED = 32
"""Real slices and fixed latents that are kept to compare with."""


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
    """Settles the settings of a training: flags over stored ones where it is resumed, else over those of a preset.

    What a preset comes to is decided once: a later version may know better, and a training goes on as it began.

    Args:
        train_dir: `TrainDir`.
        given: Dict of setting name to value, those named on the command line.

    Returns:
        `Config` with the loss's own rates filled in.

    Raises:
        UserError: A setting that cannot change differs from the stored one, or one that is needed is missing.
    """
    if train_dir.has_config:
        stored = train_dir.read_config()
        # An imported training has no recordings yet: what is learned from them is still open.
        config = merge(stored, given, ("model", "training") if stored.data_dir else ("model",))
    elif source := given.get("train_init_from"):
        model = model_settings(TrainDir(source).read_config())
        config = merge(Config(**PRESETS[model["preset"]] | model), given, ("model",))
    else:
        config = Config(**PRESETS.get(given.get("preset"), {}) | given)
    if not config.data_dir:
        raise UserError("--data_dir is missing: a folder of recordings, such as --data_dir asmr/")
    if config.train_patience and not config.train_eval_secs:
        raise UserError("--train_patience counts evaluations; say how often, such as --train_eval_secs 600.")
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
    slices = loader.Slices.from_config(recordings, config)
    print(f"data      {os.path.abspath(config.data_dir)}")
    print(loader.table(recordings, left_out, slices, config.data_sample_rate))
    return slices


def train(path, given, dry_run=False):
    """Trains until the budget is used up or a signal asks to stop; resumes what is there.

    Args:
        path: Path-like, TRAIN_DIR.
        given: Dict of setting name to value, those named on the command line.
        dry_run: Boolean, print settings and facts of the data and stop; only the cache of recordings is written.

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
        if config.train_precision == "auto":
            config = dataclasses.replace(config, train_precision=choose_precision(config, strategy))
        trainer = Trainer(config, strategy)
        stored = train_dir.read_config() if train_dir.has_config else None
        # An import has no recordings yet; another machine may have another precision.
        is_new = not (stored and stored.data_dir and stored.train_precision == config.train_precision)
        _restore(trainer, train_dir, partly=is_new)
        if is_new:
            train_dir.write_config(config)
        _describe(trainer, train_dir)
        _loop(trainer, train_dir, slices)


def _restore(trainer, train_dir, partly):
    """Restores the newest checkpoint, or the networks to fine-tune, or leaves the weights as drawn.

    Args:
        trainer: `Trainer`.
        train_dir: `TrainDir`.
        partly: Boolean, the checkpoint may lack variables: an import holds the optimisers of the loss that it was
            trained with, and float16 has a loss scale.
    """
    config = trainer.config
    if train_dir.steps():
        step = train_dir.restore(trainer.checkpoint, partly=partly)
        for damaged in train_dir.steps():
            if damaged > step:
                train_dir.set_aside(damaged)
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
    stopping = EarlyStopping(train_dir, config, trainer.generate) if config.train_eval_secs else None
    z = train_dir.latents(config, _PREVIEWED)
    real = slices.read(0, _PREVIEWED)
    audio.write_clips(train_dir.join("preview", "real.wav"), real, config.data_sample_rate)

    def save():
        train_dir.save(trainer.checkpoint, step, config.train_keep)

    def evaluate():
        if step not in train_dir.steps():
            save()
        progress.close()
        print(stopping.evaluate(step), flush=True)

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
    with StopSignal() as stop, contextlib.closing(progress):
        while not (stop.received or progress.is_over(step) or (stopping and stopping.is_over)):
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
            if stopping and stopping.is_due():
                evaluate()
        if progress.has_news:
            summaries.write_scalars(writer, step, progress.show(step))
        if step not in train_dir.steps():
            save()
        if stopping and not (stop.received or stopping.has_evaluated(step)):
            evaluate()
    writer.close()
    why = f"no better for {config.train_patience} evaluations, " if stopping and stopping.is_over else ""
    print(f"{'stopped' if stop.received else 'done'}      step {step}, {why}saved to {train_dir}")
    if stopping:
        print(f"best      {stopping.describe_best()}")


def _distribute(trainer, slices, step):
    """The batches of all updates from a step on: each worker reads its share, each replica gets a part of it."""
    first_batch = step * trainer.config.batches_per_step

    def make_worker_dataset(context):
        replicas = context.num_replicas_in_sync // context.num_input_pipelines
        dataset = loader.make_dataset(
            slices,
            replicas * trainer.replica_batch_size,
            first_batch,
            worker=context.input_pipeline_id,
            workers=context.num_input_pipelines,
        )
        return dataset if replicas == 1 else dataset.rebatch(trainer.replica_batch_size, drop_remainder=True)

    return trainer.strategy.distribute_datasets_from_function(make_worker_dataset)


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
