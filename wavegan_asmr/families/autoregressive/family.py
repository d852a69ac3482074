"""What the autoregressive families have in common: seeds in place of latent vectors, and how slow they are."""

import dataclasses

from wavegan_asmr.config import SLICE_LENS
from wavegan_asmr.errors import UserError
from wavegan_asmr.families.family import Family
from wavegan_asmr.lazy import LazyModule

# --help lists families, and must not wait for their libraries.
keras = LazyModule("keras")
np = LazyModule("numpy")
tf = LazyModule("tensorflow")
sampling = LazyModule("wavegan_asmr.families.autoregressive.sampling")

_SEEDS = 2**31


class Autoregressive(Family):
    """A network that says how likely each next sample is (van den Oord et al. 2016, equation 1)."""

    has_latents = False
    has_temperature = True
    is_slow = True
    slows = ("autoregressive_lr",)
    metrics = {"bits": "bits a sample", "held_out_bits": "held out", "order0_bits": "of order 0"}  # noqa: RUF012

    def reads(self, name):
        return name.startswith(("autoregressive_", f"{self.name}_"))

    def settle(self, config, given):
        if config.data_num_channels != 1:
            raise UserError(
                f"--family {self.name} makes one channel; leave --data_num_channels out. "
                f"Received: {config.data_num_channels}."
            )
        self.check_memory(config, is_training=True)
        return config

    def check_memory(self, config, is_training=False):
        weights, of_sample = self.count_numbers(config)
        # Weights, gradients, two moments, the average.
        needed = 5 * weights + (config.train_batch_size * of_sample if is_training else 0)
        self.refuse_beyond_memory(config, needed)

    def count_numbers(self, config):
        """Counts what takes memory.

        Args:
            config: `Config`.

        Returns:
            Integers: weights; numbers that are kept of one slice while it is learned from.
        """
        raise NotImplementedError

    def segment_len(self, config):
        """Returns the samples between two updates, through which gradients go back; they divide a slice."""
        return config.data_slice_len

    def describe_memory(self, config):
        """Returns in words how far back the network sees."""
        raise NotImplementedError

    def build_network(self, config, precision="float32"):
        """Builds the network.

        Args:
            config: `Config`.
            precision: String, Keras dtype policy.

        Returns:
            `AutoregressiveNetwork`.
        """
        raise NotImplementedError

    def input_spec(self, config):
        return (3,), "int32"

    def draw(self, config, random, n, truncation=1.0, temperature=1.0):
        seeds = random.integers(_SEEDS, size=[n, 2], dtype=np.int32)
        thousandths = np.full([n, 1], max(1, round(temperature / sampling.TEMPERATURE_UNIT)), np.int32)
        return np.concatenate([seeds, thousandths], axis=1)

    def build_generator(self, config, precision="float32"):
        inputs = keras.Input([3], dtype="int32", name="seeds")
        sampler = sampling.Sampler(self.build_network(config, precision), config.data_slice_len, name="audio")
        return keras.Model(inputs, sampler(inputs), name="generator")

    def shortened(self, config):
        return dataclasses.replace(config, data_slice_len=max(min(SLICE_LENS), self.segment_len(config)))

    def forward(self, config, precision):
        """See `Family.forward`: the network over one segment, since a slice made a sample at a time takes long."""
        network = self.build_network(config, precision)
        before = tf.zeros([1, self.segment_len(config)], tf.int32)
        evaluate = tf.function(lambda: network(before, network.start(1))[0])
        evaluate()
        return lambda: evaluate().numpy()

    def make_trainer(self, config, strategy):
        from wavegan_asmr.families.autoregressive.trainer import AutoregressiveTrainer

        return AutoregressiveTrainer(config, strategy)
