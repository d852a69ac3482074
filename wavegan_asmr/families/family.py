"""The interface of a model family, through which everything else knows it."""

from wavegan_asmr import memory, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.lazy import LazyModule
from wavegan_asmr.progress import machine_memory_bytes

# --help lists families, and must not wait for their libraries.
np = LazyModule("numpy")
tf = LazyModule("tensorflow")

_FLOAT_BYTES = 4


class Family:
    """What one kind of model is: its networks, its training, and how inputs become clips.

    An input is what one clip is made from: a latent vector, or a seed where a family has none. Families are light: what
    needs TensorFlow is imported by the methods that do.
    """

    name: str
    """The value of --family."""
    words: str
    """What it is, for help and docs."""
    sizes: tuple = ("train_batch_size", "data_slice_len")
    """Settings whose smaller values need less memory, to name where it is short."""
    slows: tuple = ()
    """Settings that make learning slower, to name where it diverged."""
    defaults: dict = {}  # noqa: RUF012
    """Settings of `Config` whose defaults are others for this family."""
    has_latents: bool = True
    """Whether inputs are points of a space, float32 in [-1, 1], near ones of which sound alike: one can walk in it."""
    has_temperature: bool = False
    """Whether how boldly it draws can be chosen, see `draw`."""
    listens: bool = False
    """Whether it takes labels and measures, `Config.data_labels` and `Config.data_conditions`."""
    is_slow: bool = False
    """Whether a clip takes about as long to make as to hear, so that few are made, and not twice."""
    metrics: dict = {}  # noqa: RUF012
    """Metric of the trainer -> its short name in the line of progress, in order."""

    def reads(self, name):
        """Whether it reads a setting of `Config` that not every family does, such as "wavegan_dim"."""
        return name.startswith(f"{self.name}_")

    def settle(self, config, given):
        """Settles the settings that depend on each other within the family.

        Args:
            config: `Config`.
            given: Dict of setting name to value, those named on the command line.

        Returns:
            `Config`.

        Raises:
            UserError: A given setting has no effect, or the networks are larger than this machine's memory.
        """
        return config

    def check_memory(self, config, is_training=False):
        """Refuses what cannot fit, before it is built.

        Args:
            config: `Config`.
            is_training: Boolean, whether a batch is learned from, not only clips made.

        Raises:
            UserError: The networks alone are larger than this machine's memory.
        """

    def refuse_beyond_memory(self, config, numbers):
        """Refuses what needs so many float32 numbers, naming `sizes`, where this machine's memory holds fewer.

        Raises:
            UserError: It does.
        """
        needed, there = _FLOAT_BYTES * numbers, machine_memory_bytes()
        if needed > there:
            raise UserError(
                f"this model needs more than {needed / 1e9:,.0f} GB, and this machine has {there / 1e9:,.0f} GB; give "
                f"a smaller {words.flags(self.sizes)}. "
                f"Received: {', '.join(str(getattr(config, name)) for name in self.sizes)}."
            )

    def batches_per_step(self, config):
        """Returns how many batches of recordings an iteration takes, an integer."""
        return 1

    def input_spec(self, config):
        """Returns the shape of one input, a tuple of integers, and its type, a string."""
        raise NotImplementedError

    def draw(self, config, random, n, truncation=1.0, temperature=1.0):
        """Draws inputs at random; row k depends on the state of `random` and on k alone.

        Args:
            config: `Config`.
            random: `numpy.random.Generator`.
            n: Integer.
            truncation: Float in (0, 1], the range of latent vectors; families without them ignore it.
            temperature: Float > 0, below 1 what is likely is drawn more often; families of which `has_temperature` is
                false ignore it.

        Returns:
            Array `[n, *shape]`, see `input_spec`.
        """
        raise NotImplementedError

    def build_generator(self, config, precision="float32"):
        """Builds what makes clips.

        Args:
            config: `Config`.
            precision: String, Keras dtype policy.

        Returns:
            `keras.Model`, inputs `[n, *shape]` -> float32 `[n, samples, channels]` in [-1, 1]; its variables are what
            `generator_part` names in a checkpoint.
        """
        raise NotImplementedError

    def shortened(self, config):
        """Returns a `Config` whose iterations take less time, for precisions to be compared by, where that is long."""
        return config

    def forward(self, config, precision):
        """Returns a function that does a part of the work of an iteration, to be timed; it was called once before.

        Args:
            config: `Config`.
            precision: String, Keras dtype policy.
        """
        generator = self.build_generator(config, precision)
        generate = tf.function(lambda inputs: generator(inputs, training=False))
        inputs = tf.constant(self.draw(config, np.random.default_rng(0), 1))
        return lambda: generate(inputs).numpy()

    def generator_part(self, config):
        """Returns the part of a checkpoint that makes clips, a string: as `GradientDescent` names it, if not else."""
        return "ema" if config.train_ema else "generator"

    def make_trainer(self, config, strategy):
        """Makes a `Trainer`.

        Args:
            config: `Config` of a precision that is not auto.
            strategy: `tf.distribute.Strategy`.
        """
        raise NotImplementedError


class Trainer:
    """One training: the state, and one iteration of it.

    Everything random in an iteration is a function of (seed, step), so resuming is exact.

    Attributes:
        config: `Config`.
        strategy: `tf.distribute.Strategy`.
        replica_batch_size: Integer, slices of a batch on each device.
        step: int64 `tf.Variable`, iterations done.
        checkpoint: `tf.train.Checkpoint` of everything that resuming needs.
        state: List of `tf.Variable`, what the checkpoint holds; other workers begin with the chief's.
    """

    def iterate(self, batches):
        """One iteration.

        Args:
            batches: Iterator of float32 `[batch, samples, channels]`, or of pairs of that and labels, int32 `[batch]`,
                distributed by the strategy.

        Returns:
            Dict of scalar tensors, the metrics.
        """
        raise NotImplementedError

    def prepare(self, batches):
        """Makes ready for the first iteration, such as by building its graph.

        Args:
            batches: See `iterate`.
        """
        memory.keep_freed()

    def generate(self, inputs):
        """Makes clips as previews do: inputs `[n, *shape]` -> float32 `[n, samples, channels]`."""
        raise NotImplementedError

    def measure(self, held_out):
        """Measures recordings that are not learned from.

        Args:
            held_out: float32 `[n, samples, channels]`.

        Returns:
            Dict of floats, metrics.
        """
        return {}

    def parts_to_tune(self):
        """Returns the networks that fine-tuning takes over: dict of their part of a checkpoint to `keras.Model`."""
        raise NotImplementedError

    def begin(self, slices):
        """Settles what depends on the recordings, before the first step of a training that fine-tunes nothing.

        Args:
            slices: `loader.Slices`.

        Raises:
            UserError: A recording cannot be read.
        """

    def begin_listening(self, slices):
        """Settles what of the recordings is listened to, before the first step of any training.

        Args:
            slices: `loader.Slices`.

        Raises:
            UserError: A recording cannot be read.
        """

    def begin_tuning(self):
        """Settles what follows from networks that were taken over."""

    def describe(self):
        """Returns what runs: dict of short label to a line of text."""
        raise NotImplementedError
