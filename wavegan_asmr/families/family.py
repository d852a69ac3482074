"""The interface of a model family, through which everything else knows it."""

from wavegan_asmr import memory


class Family:
    """What one kind of model is: its networks, its training, and how inputs become clips.

    An input is what one clip is made from: a latent vector, or a seed where a family has none. Families are light: what
    needs TensorFlow is imported by the methods that do.
    """

    name: str
    """The value of --family."""
    words: str
    """What it is, for help and docs."""
    prefix: str
    """What the names of the settings of `Config` begin with that no other family reads, such as "wavegan_"."""
    sizes: tuple = ()
    """Settings that make the networks smaller, to name where memory is short."""
    slows: tuple = ()
    """Settings that make learning slower, to name where it diverged."""
    has_latents: bool = True
    """Whether inputs are points of a space, float32 in [-1, 1], near ones of which sound alike: one can walk in it."""
    metrics: dict = {}  # noqa: RUF012
    """Metric of the trainer -> its short name in the line of progress, in order."""

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

    def batches_per_step(self, config):
        """Returns how many batches of recordings an iteration takes, an integer."""
        return 1

    def input_spec(self, config):
        """Returns the shape of one input, a tuple of integers, and its type, a string."""
        raise NotImplementedError

    def draw(self, config, random, n, truncation=1.0):
        """Draws inputs at random; row k depends on the state of `random` and on k alone.

        Args:
            config: `Config`.
            random: `numpy.random.Generator`.
            n: Integer.
            truncation: Float in (0, 1], the range of latent vectors; families without them ignore it.

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

    def generator_part(self, config):
        """Returns the part of a checkpoint that makes clips, a string, such as "ema"."""
        raise NotImplementedError

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
    """

    def iterate(self, batches):
        """One iteration.

        Args:
            batches: Iterator of float32 `[batch, samples, channels]`, distributed by the strategy.

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

    def parts_to_tune(self):
        """Returns the networks that fine-tuning takes over: dict of their part of a checkpoint to `keras.Model`."""
        raise NotImplementedError

    def begin(self, read):
        """Settles what depends on the recordings, before the first step of a training that fine-tunes nothing.

        Args:
            read: Function of the number of a slice and a count: float32 `[count, samples, channels]`, in random order.

        Raises:
            UserError: A recording cannot be read.
        """

    def begin_tuning(self):
        """Settles what follows from networks that were taken over."""

    def describe(self):
        """Returns what runs: dict of short label to a line of text."""
        raise NotImplementedError
