"""Takes over a training directory of the reference WaveGAN (TensorFlow 1)."""

import csv
import dataclasses
import os
import re

import tensorflow as tf

from wavegan_asmr import words
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.wavegan.trainer import WaveGANTrainer
from wavegan_asmr.tensorflow_paths import plain_folder
from wavegan_asmr.train_dir import TrainDir, variables_by_name

_NETWORKS = {"G": "generator", "D": "discriminator"}
_ADAM_SLOTS = {"Adam": "momentum", "Adam_1": "velocity"}


def import_training(path, reference_path):
    """Makes a TRAIN_DIR of a reference training directory, ready to preview, render and train on.

    The weights, the step and Adam's moments are taken over. What is learned from next is still open: the first
    `train` names the recordings with --data_dir.

    Args:
        path: Path-like, the TRAIN_DIR to make.
        reference_path: Path-like, a directory with `args.txt` and `model.ckpt-*`.

    Raises:
        UserError: It is not a training directory of the reference, or TRAIN_DIR is taken.
    """
    train_dir = TrainDir(path)
    if train_dir.has_config:
        raise UserError(f"{train_dir} holds a training already; import into a new folder.")
    config = read_args(os.path.join(reference_path, "args.txt"))
    with plain_folder(os.fspath(reference_path)) as folder:
        newest = tf.train.latest_checkpoint(folder)
        if newest is None:
            raise UserError(f"no checkpoint of the reference in it (model.ckpt-*). Received: {str(reference_path)!r}.")
        source = words.printable(os.path.join(reference_path, os.path.basename(newest)))
        try:
            reader = tf.train.load_checkpoint(newest)
            reference = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        except (tf.errors.OpError, LookupError, ValueError, RuntimeError) as error:
            raise UserError(f"{source} cannot be read: {words.reason(error)}") from error

    if "global_step" not in reference:
        raise UserError(f"{source} is no checkpoint of the reference: it has no global_step.")
    trainer = WaveGANTrainer(dataclasses.replace(config, train_precision="float32"), tf.distribute.get_strategy())
    step = int(reference["global_step"])
    for network, optimizer, updates in (
        (trainer.generator, trainer.generator_optimizer, step),
        (trainer.discriminator, trainer.discriminator_optimizer, step * config.wavegan_disc_nupdates),
    ):
        _assign_network(network, reference, source)
        _assign_adam(optimizer, network, reference, updates)
    trainer.begin_tuning()
    trainer.step.assign(step)
    train_dir.create()
    train_dir.save(trainer.checkpoint, step, config.train_keep)
    train_dir.write_config(config)
    print(f"step {step} of {words.printable(reference_path)} -> {train_dir}")
    print(f"go on with: python train_wavegan.py train {words.shell(train_dir.path)} --data_dir FOLDER")


def read_args(path):
    """Reads the reference's args.txt, lines of "name,value", into a `Config` without recordings.

    Raises:
        UserError: It is not there, or a value breaks a rule.
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            values = {row[0]: row[1] for row in csv.reader(file) if len(row) == 2}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"not a training directory of the reference, args.txt cannot be read: {error}") from error
    settings = {}
    for name, default in vars(Config()).items():
        text = values.get(name)
        if text is None or text == "None" or name == "data_dir":
            continue
        try:
            settings[name] = text == "True" if isinstance(default, bool) else type(default)(text)
        except ValueError as error:
            raise UserError(f"{path}: {name} must be a {type(default).__name__}. Received: {text!r}.") from error
    return Config(**settings)


def variable_name(reference_name):
    """Returns the name here of a variable of the reference: network, and name in it.

    Example:
        >>> variable_name("G/upconv_0/conv2d_transpose/kernel")
        ('G', 'upconv_0/kernel')
    """
    match = re.fullmatch(r"([GD])/(\w+)/(\w+)/(\w+)", reference_name)
    if not match:
        return None
    network, layer, operation, weight = match.groups()
    # The reference names the layers of repeated scopes apart with a suffix.
    if operation.startswith("batch_normalization"):
        layer += "_batchnorm"
    return network, f"{layer}/{weight}"


def _letter(network):
    return next(letter for letter, name in _NETWORKS.items() if name == network.name)


def _named(network, reference):
    """Dict of a variable's name here to its name in the reference."""
    names = {}
    for name in reference:
        if (found := variable_name(name)) and found[0] == _letter(network):
            names[found[1]] = name
    return names


def _assign_network(network, reference, source):
    names = _named(network, reference)
    for name, variable in variables_by_name(network.variables).items():
        if name not in names:
            raise UserError(f"{source} has no weights for {network.name}/{name}: its args.txt tells another model.")
        _assign(variable, reference[names[name]], name)


def _assign_adam(optimizer, network, reference, updates):
    """Takes over Adam's moments, which the reference keeps under the weight's name; RMSProp starts anew."""
    names = _named(network, reference)
    slots = variables_by_name(optimizer.variables)
    taken = 0
    for variable in network.trainable_variables:
        for suffix, slot in _ADAM_SLOTS.items():
            source = f"{names[variable.path]}/{suffix}"
            target = f"{optimizer.name}/{variable.path.replace('/', '_')}_{slot}"
            if source in reference and target in slots:
                _assign(slots[target], reference[source], target)
                taken += 1
    if taken:
        optimizer.iterations.assign(updates)


def _assign(variable, value, name):
    # The reference stores transposed convolutions with a height of one.
    if value.size != variable.shape.num_elements():
        raise UserError(f"the weights of {name} have another shape: {list(value.shape)} for {list(variable.shape)}.")
    variable.assign(value.reshape(variable.shape))
