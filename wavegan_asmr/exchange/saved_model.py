"""A generator as a SavedModel that needs nothing of this project."""

import tensorflow as tf

from wavegan_asmr.tensorflow_paths import plain_folder


class Infer(tf.Module):
    """The SavedModel's function: inputs, which it calls z -> audio.

    Args:
        generator: `families.generators.Generator`.
    """

    def __init__(self, generator):
        super().__init__()
        shape, dtype = generator.family.input_spec(generator.config)
        self.generator = generator.network
        self.generate = tf.function(self._generate, [tf.TensorSpec([None, *shape], dtype, name="z")])

    def _generate(self, z):
        audio = self.generator(z, training=False)
        int16 = tf.cast(tf.clip_by_value(audio * 32767.0, -32767.0, 32767.0), tf.int16)
        return {"audio": audio, "audio_int16": int16}


def write(generator, folder, precision="float32"):
    """Writes a SavedModel.

    Its signature `serving_default` maps z, the generator's inputs as they are drawn (latent vectors float32 `[n,
    latent_dim]` in [-1, 1], say, and behind them what the model listens to), to `audio`, float32 `[n, samples,
    channels]`, and `audio_int16`, the same times 32767.

    Args:
        generator: `families.generators.Generator`.
        folder: Path-like, an empty folder.
        precision: String, "float32".

    Raises:
        OSError, tf.errors.OpError: It cannot be written.
    """
    module = Infer(generator)
    with plain_folder(folder) as name:
        tf.saved_model.save(module, name, {"serving_default": module.generate})


def run(folder, inputs):
    """Runs a SavedModel.

    Args:
        folder: Path-like.
        inputs: Dict of `z` to an array.

    Returns:
        float32 `[n, samples, channels]`.
    """
    with plain_folder(folder) as name:
        generate = tf.saved_model.load(name).signatures["serving_default"]
    return generate(z=tf.constant(inputs["z"]))["audio"].numpy()
