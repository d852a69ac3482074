"""What is measured: one step of training, and one batch of generated audio, of each implementation.

Functions for `common.Contestant`, which return its turns. Libraries are imported where they are used: each contestant
has a process of its own.
"""

import functools

import numpy as np

from benchmarks import common, topology
from benchmarks.common import Contestant, timed
from wavegan_asmr.command_line.run import start_tensorflow
from wavegan_asmr.errors import UserError

PRECISIONS = {"float32": "float32", "bfloat16": "mixed_bfloat16"}
"""Names of the benchmarks -> Keras dtype policies."""

NAMES = [f"{name}-{precision}" for name in ("project", "textbook", "pytorch") for precision in PRECISIONS]
"""Contestants of training and of generation."""

MATMUL_SIZE = 4096
MATMUL_FLOP = 2 * MATMUL_SIZE**3

_TOLERANCE = 1e-3


def race(make, names, case, rounds, turn_s, label):
    """Measures contestants on a case, and the matrix product of each precision, by turns.

    Args:
        make: `training` or `generation`.
        names: List of names of `NAMES`.
        case: Dict of slice_len, dim, batch_size.
        rounds, turn_s, label: See `common.race`.

    Returns:
        Dict of name to `common.Outcome`, and dict of precision to the peak in FLOP a second.
    """
    racing = [Contestant(name, make, {"name": name} | case, may_fail=True) for name in names]
    racing += [Contestant(f"matmul-{precision}", matmul, {"precision": precision}) for precision in PRECISIONS]
    outcomes = common.race(racing, rounds, turn_s, label)
    peaks = {precision: MATMUL_FLOP / outcomes.pop(f"matmul-{precision}").best() for precision in PRECISIONS}
    return outcomes, peaks


def with_pytorch(names, slice_lens):
    """Returns names without PyTorch's where it is not installed, and says so; checks its networks where it is.

    Raises:
        UserError: Its networks differ from the project's.
    """
    others = [name for name in names if not name.startswith("pytorch")]
    if others == names:
        return names
    for slice_len in slice_lens:
        try:
            difference = common.call(check_pytorch, slice_len=slice_len)
        except common.ContestantError as error:
            common.say(f"PyTorch is left out: {error}")
            return others
        if difference:
            raise UserError(f"the PyTorch networks are not the project's: {difference}.")
    return names


def better_pytorch(outcomes):
    """Returns the `common.Outcome` of PyTorch's better precision, or None."""
    measured = [outcomes[name] for name in outcomes if name.startswith("pytorch") and outcomes[name].median()]
    return min(measured, key=lambda outcome: outcome.median(), default=None)


def training(name, **case):
    """Returns the turns of a contestant's training: see `NAMES`, and `project_training` for `case`."""
    implementation, precision = name.split("-")
    makes = {"project": project_training, "textbook": textbook_training, "pytorch": pytorch_training}
    return makes[implementation](precision=precision, **case)


def project_training(slice_len, dim, batch_size, precision, batches=None, untimed=0):
    """Turns of iterations of this project, as `train` runs them, with the averaged generator and gradient norms.

    Args:
        slice_len, dim, batch_size: Integers.
        precision: String, see `PRECISIONS`.
        batches: Function without arguments that makes a `tf.data.Dataset`, or None for constant ones.
        untimed: Integer, see `timed`.
    """
    start_tensorflow()
    from wavegan_asmr.config import Config
    from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
    from wavegan_asmr.training.loop import choose_strategy

    config = Config(
        data_slice_len=slice_len,
        wavegan_dim=dim,
        train_batch_size=batch_size,
        train_precision=PRECISIONS[precision],
    )
    trainer = WaveGANTrainer(config, choose_strategy())
    return timed(iterations(trainer, batches() if batches else None), untimed)


def iterations(trainer, dataset=None):
    """Returns a function that runs an iteration of a trainer, as `train` does.

    Args:
        trainer: `families.family.Trainer`.
        dataset: `tf.data.Dataset` of batches, or None for constant ones.
    """
    import tensorflow as tf

    config = trainer.config
    if dataset is None:
        real = noise([config.train_batch_size, config.data_slice_len, config.data_num_channels])
        dataset = tf.data.Dataset.from_tensors(real).repeat()
    batches = iter(trainer.strategy.distribute_datasets_from_function(lambda context: dataset))
    # Checkouts to compare with may not have it.
    getattr(trainer, "prepare", lambda batches: None)(batches)
    return lambda: [float(value) for value in trainer.iterate(batches).values()]


def textbook_training(slice_len, dim, batch_size, precision):
    """Turns of iterations of the textbook Keras implementation."""
    start_tensorflow()
    import tensorflow as tf

    from benchmarks import textbook

    gan = textbook.WGAN(slice_len, dim, batch_size, dtype=PRECISIONS[precision])
    real = tf.constant(noise([batch_size, slice_len, 1]))
    return timed(lambda: [float(value) for value in gan.train_step(real).values()])


def pytorch_training(slice_len, dim, batch_size, precision):
    """Turns of iterations of the PyTorch implementation."""
    torch = _import_torch()
    from benchmarks import pytorch

    gan = pytorch.WGAN(slice_len, dim, batch_size, autocast=precision == "bfloat16")
    real = torch.from_numpy(noise([batch_size, 1, slice_len]))
    return timed(lambda: gan.train_step(real))


def generation(name, **case):
    """Returns the turns of a contestant's generator: see `NAMES`; `case` holds slice_len, dim, batch_size."""
    implementation, precision = name.split("-")
    makes = {"project": project_generation, "textbook": textbook_generation, "pytorch": pytorch_generation}
    return makes[implementation](precision=precision, **case)


def project_generation(slice_len, dim, batch_size, precision):
    """Turns of batches of this project's generator."""
    start_tensorflow()
    import wavegan

    return _keras_generation(wavegan.build_generator(slice_len, dim=dim, dtype=PRECISIONS[precision]), batch_size)


def textbook_generation(slice_len, dim, batch_size, precision):
    """Turns of batches of the textbook Keras generator."""
    start_tensorflow()
    from benchmarks import textbook

    return _keras_generation(textbook.build_generator(slice_len, dim, PRECISIONS[precision]), batch_size)


def pytorch_generation(slice_len, dim, batch_size, precision):
    """Turns of batches of the PyTorch generator."""
    torch = _import_torch()
    from benchmarks import pytorch

    generator = pytorch.Generator(slice_len, dim)
    z = torch.from_numpy(noise([batch_size, topology.LATENT_DIM]))

    def generate():
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
            return generator(z).numpy()

    return timed(generate)


def matmul(precision):
    """Turns of a matrix product of `MATMUL_SIZE`, the peak of the machine."""
    start_tensorflow()
    import tensorflow as tf

    x = tf.cast(noise([MATMUL_SIZE, MATMUL_SIZE]), precision)
    multiply = tf.function(lambda: tf.reduce_max(tf.matmul(x, x)))
    return timed(lambda: float(multiply()))


def check_pytorch(slice_len, dim=4, batch_size=2):
    """Compares the PyTorch networks with the project's, with the same weights, in an update of each.

    Returns:
        String, how they differ, or None.

    Raises:
        UserError: PyTorch is not installed.
    """
    torch = _import_torch()
    start_tensorflow()
    import tensorflow as tf

    from benchmarks import pytorch
    from wavegan_asmr.config import Config
    from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
    from wavegan_asmr.training.loop import choose_strategy

    config = Config(
        data_slice_len=slice_len,
        wavegan_dim=dim,
        train_batch_size=batch_size,
        wavegan_disc_phaseshuffle=0,
        train_precision="float32",
    )
    trainer = WaveGANTrainer(config, choose_strategy())
    gan = pytorch.WGAN(slice_len, dim, batch_size, phaseshuffle=0)
    pytorch.copy_generator(trainer.generator.get_weights(), gan.generator)
    pytorch.copy_discriminator(trainer.discriminator.get_weights(), gan.discriminator)
    random = np.random.default_rng(0)
    real = noise([batch_size, slice_len, 1])
    z = random.uniform(-1, 1, [batch_size, config.wavegan_latent_dim]).astype(np.float32)
    alpha = random.random([batch_size, 1, 1], np.float32)

    seeds = tf.zeros([3, 2], tf.int32)
    ours = trainer.strategy.run(trainer.update_discriminator, [tf.constant(real), z, alpha, seeds])
    mirrored = torch.from_numpy(np.ascontiguousarray(real[:, ::-1].transpose(0, 2, 1)))
    theirs = gan.train_discriminator(mirrored, torch.from_numpy(z), torch.from_numpy(alpha))
    theirs["D_gradient_norm"] = pytorch.gradient_norm(gan.discriminator)
    # Adam's first step has the size of the rate whatever the gradient, and would enlarge rounding.
    pytorch.copy_discriminator(trainer.discriminator.get_weights(), gan.discriminator)
    ours |= trainer.strategy.run(trainer.update_generator, [z, seeds[0]])
    theirs |= gan.train_generator(torch.from_numpy(z))
    theirs["G_gradient_norm"] = pytorch.gradient_norm(gan.generator)
    for name, value in theirs.items():
        if not np.isclose(value, float(ours[name]), rtol=_TOLERANCE, atol=_TOLERANCE * 1e-2):
            return f"{name} {value:.6g} instead of {float(ours[name]):.6g}"
    return None


def _keras_generation(generator, batch_size):
    import tensorflow as tf

    run = tf.function(functools.partial(generator, training=False))
    z = tf.constant(noise([batch_size, topology.LATENT_DIM]))
    return timed(lambda: run(z).numpy())


def _import_torch():
    try:
        import torch
    except ImportError as error:
        raise UserError("PyTorch is not installed: pip install -e '.[bench]'") from error
    return torch


def noise(shape, seed=0):
    """Returns numbers that stand for audio, float32 in [-0.5, 0.5]."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)
