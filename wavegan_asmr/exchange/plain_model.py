"""What a generator is to runtimes that know the usual operations alone: inputs, and facts that its file keeps.

The random numbers of TensorFlow are no operations elsewhere: noise is an input, one for each layer that has some. What
a model listens to is an input, too, beside its latent vector. See `families.wavegan.operations` for what the layers
are.
"""

from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import noise
from wavegan_asmr.exchange.shared_model import without_paths
from wavegan_asmr.families.wavegan.operations import operations_of

_FAMILY = "wavegan"
_REASONS = {
    "specgan": "Griffin-Lim guesses phases by transforms that they do not have",
    "wavenet": "it has a loop over samples",
    "lstm": "it has a loop over samples",
}


class PlainModel:
    """A generator, taken apart.

    Args:
        generator: `families.generators.Generator`.

    Attributes:
        dense, positions, operations: See `operations_of`.
        labels: Integer, labels that it listens to; they are the first of what is given.
        shapes: Dict of the name of an input to its shape, of one clip: `z`, `given` where it listens to labels or
            measures, and `noise_0`, ... of the layers that have some.

    Raises:
        UserError: It is of another family.
    """

    def __init__(self, generator):
        name = generator.family.name
        if name != _FAMILY:
            reason = _REASONS.get(name, "its operations are not known to them")
            raise UserError(
                f"models of --family {name} cannot be exported to other runtimes: {reason}. Take --format saved_model. "
                f"Received: {generator.train_dir}."
            )
        self.dense, self.positions, self.operations = operations_of(generator.network)
        config = generator.config
        self.labels = len(config.label_names)
        self.shapes, positions = {"z": (config.wavegan_latent_dim,)}, self.positions
        if config.given_dim:
            self.shapes["given"] = (config.given_dim,)
        for operation in self.operations:
            if operation.noise:
                self.shapes[noise_name(operation)] = (positions, operation.inputs)
            positions *= operation.stride


def noise_name(operation):
    """Returns the name of the input that is the noise of an `Operation`."""
    return f"noise_{operation.noise.index}"


def split(generator, drawn):
    """Parts a generator's inputs into those of a plain model, and draws the very noise that it has for them.

    Args:
        generator: `families.generators.Generator`.
        drawn: float32 `[n, latent_dim + labels + measures]`, see `Generator.draw`.

    Returns:
        Dict of name to float32 array `[n, *shape]`, see `PlainModel.shapes`.
    """
    model, latent_dim = PlainModel(generator), generator.config.wavegan_latent_dim
    inputs = {"z": drawn[:, :latent_dim]}
    if "given" in model.shapes:
        inputs["given"] = drawn[:, latent_dim:]
    for operation in model.operations:
        if layer := operation.noise:
            name = noise_name(operation)
            inputs[name] = noise.draw(inputs["z"], layer.index, model.shapes[name], layer.bits)
    return inputs


def facts_of(generator):
    """Returns what a file keeps of a generator: dict of strings, of which `config` is config.json without paths."""
    config = generator.config
    return {
        "config": without_paths(config).to_json(),
        "step": str(generator.step),
        "digest": generator.digest,
        "sample_rate_hz": str(config.data_sample_rate),
        "channels": str(config.data_num_channels),
    }
