"""The training loop, with its checkpoints and summaries."""

import contextlib
import dataclasses
import math
import os
import time

import numpy as np
import tensorflow as tf

import loader
from wavegan_asmr import summaries, words
from wavegan_asmr.config import Config, remembered
from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import fixed_inputs
from wavegan_asmr.networks.conditioning import LISTENING
from wavegan_asmr.progress import Timer
from wavegan_asmr.settings import absolute_paths
from wavegan_asmr.sound import wav
from wavegan_asmr.train_dir import TrainDir, variables_by_name
from wavegan_asmr.training.early_stopping import EarlyStopping
from wavegan_asmr.training.forms import settle_forms
from wavegan_asmr.training.precision import choose_precision, constant_batches
from wavegan_asmr.training.recordings import Contents
from wavegan_asmr.training.settling import open_held_out, open_slices, resolve_config, settle_labels
from wavegan_asmr.training.status import TrainingStatus
from wavegan_asmr.training.stop_signal import StopSignal
from wavegan_asmr.training.team import Team, choose_strategy

_PREVIEWED, _PREVIEWED_SLOW = 32, 4
"""Real slices and fixed inputs that are kept to compare with; of slow families the second."""
_MEASURE_SECS = 30.0
"""Between two measurements of what is not learned from."""


def train(path, given, dry_run=False, open_evaluation=None, wait_s=300.0, listener=None):
    """Trains until the budget is used up or a signal asks to stop; resumes what is there.

    Of several workers (see `team`) all but the chief follow it; they need no TRAIN_DIR.

    Args:
        path: Path-like, TRAIN_DIR.
        given: Dict of setting name to value, those named on the command line.
        dry_run: Boolean, print settings and facts of the data and stop; only the cache of recordings is written.
        open_evaluation: Function of a `TrainDir` and a `Config` that returns what `EarlyStopping` evaluates with; it is
            needed where the settings ask for evaluations.
        wait_s: Float, seconds for which other workers are waited for.
        listener: Object of the chief that is told how the training goes, or None: `saved(step)` of each checkpoint,
            `shown(step, metrics)` of each line of progress, metrics a dict of name to float.

    Raises:
        UserError: See `resolve_config`, `open_slices`, `TrainDir`, `Team`; or the training diverged.
    """
    team, train_dir = Team(), TrainDir(path)
    if not (team.is_chief or dry_run):
        with team.together(train_dir):
            _follow(team, given, wait_s)
        return
    config = resolve_config(train_dir, given)
    if dry_run:
        print(config.to_json(), end="")
        _open(train_dir, config)
        _show_forms(train_dir, config)
        return
    train_dir.create()
    with train_dir.lock(), team.together(train_dir):
        train_dir.sweep()
        team.meet(wait_s)
        slices, contents = _open(train_dir, config)
        config = settle_labels(config, slices)
        held_out = open_held_out(config)
        # TensorFlow does not bear to be interrupted while it builds.
        with StopSignal() as stop:
            config = _settle_precision(config, team.strategy if team.count == 1 else choose_strategy(), team.count)
            stop.check()
            trainer = _make_trainer(config, team, contents)
            stored = train_dir.read_config() if train_dir.has_config else None
            # An import has no recordings yet; another machine may have another precision.
            is_new = not (stored and stored.data_dir and stored.train_precision == config.train_precision)
            _restore(trainer, train_dir, slices, partly=is_new)
            if not stored or remembered(stored) != remembered(config):
                train_dir.write_config(config)
            contents.write(train_dir)
            _describe(trainer, train_dir)
            evaluation = open_evaluation(train_dir, config) if config.train_eval_secs else None
            stop.check()
            team.take_over(trainer.state)
            _loop(trainer, team, train_dir, slices, held_out, evaluation, listener, stop)


def _make_trainer(config, team, contents):
    """Makes the `Trainer` of the chief, with which the others make theirs."""
    if team.count > 1:
        # What one machine finds to be its fastest is not that of the others, and rounds in other ways.
        config = dataclasses.replace(config, train_forms="table")
        team.tell({"config": dataclasses.asdict(config), "recordings": contents.digest()})
        print(f"workers   {team.count}, of which this is the chief")
    return family_of(config).make_trainer(config, team.strategy)


def _follow(team, given, wait_s):
    """Trains as the chief does, until it ends or a signal asks all to stop."""
    given = absolute_paths(Config, given)
    team.meet(wait_s)
    told = team.tell()
    config = Config(**told["config"])
    for field in dataclasses.fields(Config):
        name, value = field.name, given.get(field.name)
        if name in given and field.metadata["kind"] in ("model", "training") and getattr(config, name) != value:
            raise UserError(f"--{name} {value} is not what the chief has: {getattr(config, name)}. Give all the same.")
    config = dataclasses.replace(config, data_dir=given.get("data_dir", config.data_dir))
    recordings, slices = open_slices(config)
    if Contents.of(recordings, config.data_sample_rate).digest() != told["recordings"]:
        raise UserError(f"the recordings are not those of the chief. Received: --data_dir {config.data_dir!r}.")
    with StopSignal() as stop:
        trainer = family_of(config).make_trainer(config, team.strategy)
        team.take_over(trainer.state)
        step = int(trainer.step.numpy())
        print(f"workers   {team.count}, of which this follows the chief from step {step} on", flush=True)
        batches = iter(_distribute(trainer, slices, step))
        trainer.prepare(batches)
        while not team.any(stop.received):
            metrics = _iterate(trainer, batches, slices)
            step += 1
            _check_finite(metrics, step, config)
    print(f"ended     with the chief, step {step}")


def _open(train_dir, config):
    """Opens the recordings, and says how they differ from those of the last start; returns `Slices` and `Contents`."""
    recordings, slices = open_slices(config)
    contents = Contents.of(recordings, config.data_sample_rate)
    if difference := contents.compare(train_dir):
        print(f"recordings {difference}")
    return slices, contents


def _settle_precision(config, strategy, workers=1):
    """The `Config` with the precision in place of auto that is fastest for one worker's share of the batch."""
    if config.train_precision != "auto":
        return config
    timed = dataclasses.replace(config, train_batch_size=max(1, config.train_batch_size // workers))
    return dataclasses.replace(config, train_precision=choose_precision(timed, strategy))


def _show_forms(train_dir, config):
    """Prints the forms of convolutions that a training would have."""
    if config.train_forms == "table":
        return
    strategy = choose_strategy()
    trainer = family_of(config).make_trainer(_settle_precision(config, strategy), strategy)
    forms = settle_forms(trainer, constant_batches(config, strategy), train_dir, writes=False)
    for shape, form in forms.items():
        print(f"{form:<9} {shape}")


def _restore(trainer, train_dir, slices, partly):
    """Restores the newest checkpoint, or the networks to fine-tune, or begins with the weights as drawn.

    Args:
        trainer: `Trainer`.
        train_dir: `TrainDir`.
        slices: `loader.Slices`.
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
        _take_over(trainer, TrainDir(config.train_init_from))
        trainer.begin_listening(slices)
    else:
        trainer.begin(slices)
        trainer.begin_listening(slices)


def _take_over(trainer, source):
    """Restores the networks to fine-tune from a `TrainDir`, but for what they did not listen to there."""
    config, begun = trainer.config, source.read_config()
    parts = {name: variables_by_name(part.variables) for name, part in trainer.parts_to_tune().items()}
    listens = [(each.label_names, each.data_conditions) for each in (config, begun)]
    if is_new := listens[0] != listens[1]:
        parts = {
            part: {name: each for name, each in variables.items() if not name.startswith(LISTENING)}
            for part, variables in parts.items()
        }
    step = source.restore(tf.train.Checkpoint(**parts))
    trainer.begin_tuning()
    print(f"weights   of step {step} of {source}")
    if is_new and config.given_dim:
        names = ", ".join(words.printable(name) for name in (*config.label_names, *config.data_conditions))
        print(f"new       what it listens to begins anew: {names}")


def _describe(trainer, train_dir):
    """Prints what runs, where things go, and the commands that follow."""
    config, place = trainer.config, words.shell(train_dir.path)
    devices = ", ".join(trainer.strategy.extended.worker_devices)
    rows = {
        "device": f"{devices} ({os.cpu_count()} cores), {config.train_precision}",
        **trainer.describe(),
        "slice": f"{config.data_slice_len} samples, {config.slice_s:.2f} s",
        "saved to": str(train_dir),
        "losses": f"tensorboard --logdir {place}",
        "sounds": f"python preview.py {place}",
        "resume": f"python train_wavegan.py train {place}",
    }
    print("\n".join(f"{name:<9} {value}" for name, value in rows.items()), flush=True)


def _loop(trainer, team, train_dir, slices, held_out, evaluation, listener, stop):
    """Iterates, shows progress, writes summaries and checkpoints; ends by budget or by a signal."""
    config = trainer.config
    step = int(trainer.step.numpy())
    is_first = step not in train_dir.steps()
    batches = iter(_distribute(trainer, slices, step))
    with _explaining(config, slices):
        settle_forms(trainer, batches, train_dir)
    start_s = time.monotonic()
    # What was written behind the last checkpoint before a kill comes again.
    writer = summaries.create_writer(train_dir.path, step if is_first else step + 1)
    stopping = EarlyStopping(train_dir, config, evaluation) if evaluation else None
    fixed = fixed_inputs(train_dir, _PREVIEWED_SLOW if family_of(config).is_slow else _PREVIEWED)
    real = slices.read(0, len(fixed))
    measured, fixed_s = {}, None
    wav.write_clips(train_dir.join("preview", "real.wav"), real, config.data_sample_rate)

    def save():
        train_dir.save(trainer.checkpoint, step, config.train_keep)
        if listener:
            listener.saved(step)

    def keep():
        if step not in train_dir.steps():
            save()

    def evaluate():
        keep()
        progress.close()
        print(stopping.evaluate(trainer.generate, step), flush=True)

    def show():
        if held_out and (measuring.is_due() or not measured):
            measured.update(
                trainer.measure(held_out.read(step * trainer.replica_batch_size, trainer.replica_batch_size))
            )
        metrics = progress.show(step, measured)
        summaries.write_scalars(writer, step, metrics)
        if listener:
            listener.shown(step, metrics)

    def summarize():
        nonlocal fixed_s
        clips, fixed_s = _hear(trainer, slices, fixed, step)
        summaries.write_clips(writer, step, clips, config.data_sample_rate)

    def report():
        progress.advise(step)
        if fixed_s:
            progress.advise_of_previews(len(fixed), fixed_s)
        if progress.is_due():
            show()
        if summarizing.is_due():
            summarize()
        if stopping and stopping.is_due():
            evaluate()

    def is_over():
        return progress.is_over(step) or bool(stopping and stopping.is_over)

    if is_first:
        summaries.write_text(writer, step, "config", config.to_json())
        summarize()
        save()
    saving, summarizing, measuring = (
        Timer(seconds) for seconds in (config.train_save_secs, config.train_summary_secs, _MEASURE_SECS)
    )
    progress = TrainingStatus(family_of(config), config, step, start_s)
    with contextlib.closing(progress):
        while not team.any(stop.received or is_over()):
            metrics = _iterate(trainer, batches, slices)
            step += 1
            _check_finite(metrics, step, trainer.config, train_dir)
            progress.add(metrics)
            if saving.is_due():
                save()
            try:
                report()
            except Exception:
                # Whatever cannot be shown or measured, what was learned is kept.
                keep()
                raise
        keep()
        if progress.has_news:
            show()
        # Another worker may have been asked to stop.
        is_stopped = stop.received or not is_over()
        if stopping and not (is_stopped or stopping.has_evaluated(step)):
            evaluate()
    writer.close()
    why = f"no better for {config.train_patience} evaluations, " if stopping and stopping.is_over else ""
    print(f"{'stopped' if is_stopped else 'done'}      step {step}, {why}saved to {train_dir}")
    if stopping:
        print(f"best      {stopping.describe_best()}")


def _hear(trainer, slices, fixed, step):
    """Clips for `summaries.write_clips`: other reals and inputs at each step, and the same inputs at all.

    Returns:
        Dict of name to clips, and the seconds that those of the same inputs took.
    """
    random = np.random.default_rng([trainer.config.train_seed, step])
    n = len(fixed)
    real, fake = slices.read(step * n, n), trainer.generate(family_of(trainer.config).draw(trainer.config, random, n))
    start_s = time.monotonic()
    again = trainer.generate(fixed)
    return {"real": real, "fake": fake, "fixed_latents": again}, time.monotonic() - start_s


def _distribute(trainer, slices, step):
    """The batches of all updates from a step on: each worker reads its share, each replica gets a part of it."""
    first_batch = step * family_of(trainer.config).batches_per_step(trainer.config)

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
    with _explaining(trainer.config, slices):
        return {name: float(value) for name, value in trainer.iterate(batches).items()}


@contextlib.contextmanager
def _explaining(config, slices):
    """Context in which a lack of memory, and what the loader raised, become a `UserError`."""
    try:
        yield
    except tf.errors.ResourceExhaustedError as error:
        raise UserError(
            f"not enough memory for a training step; give a smaller {words.flags(family_of(config).sizes)}. "
            f"{error.message.splitlines()[0][:200]}"
        ) from error
    except tf.errors.OpError as error:
        # TensorFlow wraps what the loader raised; say the loader's own words.
        raise slices.error or error from error


def _check_finite(metrics, step, config, train_dir=None):
    """Raises UserError where a metric is NaN or infinite: the weights are then lost."""
    # With float16 the optimisers skip infinite gradients and lower their scale.
    checked = [name for name in metrics if config.train_precision != "mixed_float16" or "gradient" not in name]
    for name in checked:
        if not math.isfinite(metrics[name]):
            slower = family_of(config).slows
            kept = f"The checkpoint of step {train_dir.steps()[-1]} is whole. " if train_dir else ""
            raise UserError(
                f"training diverged: {name} is {metrics[name]} at step {step}. {kept}Try "
                f"{f'smaller {words.flags(slower)}, or ' if slower else ''}--train_precision float32."
            )
