"""What trainings by gradients share: replicas, scaled losses, the averaged generator, checkpoints."""

import keras
import tensorflow as tf

from wavegan_asmr.errors import UserError
from wavegan_asmr.families.family import Trainer
from wavegan_asmr.families.generators import generate_clips
from wavegan_asmr.train_dir import variables_by_name


class GradientDescent(Trainer):
    """See `Trainer`. What is random follows --train_seed from here on.

    Args:
        config: `Config` of a precision that is not auto.
        strategy: `tf.distribute.Strategy`.

    Attributes:
        generator, ema: `keras.Model`s that make clips, which a subclass builds; the last has averaged weights.

    Raises:
        UserError: The batch cannot be divided among the devices.
    """

    def __init__(self, config, strategy):
        self.config = config
        self.strategy = strategy
        self.replica_batch_size, rest = divmod(config.train_batch_size, strategy.num_replicas_in_sync)
        if rest:
            raise UserError(
                f"--train_batch_size must be a multiple of the {strategy.num_replicas_in_sync} devices. "
                f"Received: {config.train_batch_size}."
            )
        keras.utils.set_random_seed(config.train_seed)

    def build_optimizer(self, optimizer, network):
        """Returns an optimiser of a network, with the scale of the loss that float16 needs."""
        if self.config.train_precision == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer, name="loss_scale")
        optimizer.build(network.trainable_variables)
        return optimizer

    def make_checkpoint(self, parts, **variables):
        """Returns the `tf.train.Checkpoint` of a training.

        Args:
            parts: Dict of name to network or optimiser.
            variables: `tf.Variable`s by name.
        """
        if self.config.train_ema:
            parts = parts | {"ema": self.ema}
        # Learning rates are settings, not state.
        named = {
            name: variables_by_name([v for v in part.variables if v.name != "learning_rate"])
            for name, part in parts.items()
        }
        self.state = [*variables.values(), *(each for part in named.values() for each in part.values())]
        return tf.train.Checkpoint(**variables, **named)

    def begin_tuning(self):
        """Makes the averaged generator equal to the generator."""
        if self.ema is not self.generator:
            self.ema.set_weights(self.generator.get_weights())

    def prepare(self, batches):
        """Builds the graph of an iteration, which keeps the forms of convolutions chosen now (see `polyphase`)."""
        super().prepare(batches)
        self.iterate.get_concrete_function(batches)

    def generate(self, inputs):
        """Makes clips with the averaged generator, see `Trainer.generate`."""
        return generate_clips(self.ema, inputs, self.replica_batch_size)

    def scale(self, optimizer):
        """Factor of the loss: its share of all replicas, and the scale that float16 needs."""
        # Keras optimisers sum the gradients of all replicas.
        return tf.cast(optimizer.scale_loss(1.0), tf.float32) / self.strategy.num_replicas_in_sync

    def minimize(self, tape, scaled_loss, network, optimizer, largest_norm=None):
        """Applies the gradients of a scaled loss to a network.

        Args:
            tape: `tf.GradientTape` that watched the loss.
            scaled_loss: Scalar, the loss times `scale`.
            network: Has `trainable_variables`.
            optimizer: See `build_optimizer`.
            largest_norm: Float, to which the norm of gradients is cut, or None.

        Returns:
            Scalar, the norm of the gradients of the loss before that.
        """
        scale, variables = self.scale(optimizer), network.trainable_variables
        # All of them before any update: in loops TensorFlow's optimiser of graphs drops edges by which an update waits
        # for what reads its variable, and of a bias no gradient waits for what a gradient penalty reads.
        gradients = tf.tuple(tape.gradient(scaled_loss, [variable.value for variable in variables]))
        norm = tf.linalg.global_norm(gradients) / scale
        if largest_norm:
            gradients, _ = tf.clip_by_global_norm(gradients, largest_norm * scale, use_norm=norm * scale)
        optimizer.apply_gradients(zip(gradients, variables))
        return norm

    def mean_over_replicas(self, per_replica):
        """Means of a dict of scalars of each replica."""
        return {name: self.strategy.reduce("MEAN", value, axis=None) for name, value in per_replica.items()}

    def assign(self, variable, function, *arguments):
        """Sets a variable, on every replica, to a function of itself and other variables."""
        self.strategy.extended.update(
            variable.value, lambda v, *args: v.assign(function(v, *args)), args=arguments, group=False
        )

    def update_ema(self):
        """Moves the averaged generator towards the generator."""
        if self.ema is self.generator:
            return
        # Early on the average must not remember the untrained generator for a thousand steps.
        step = tf.cast(self.step, tf.float32)
        decay = tf.minimum(self.config.train_ema, (1 + step) / (10 + step))
        for averaged, variable in zip(self.ema.weights, self.generator.weights):
            self.assign(averaged, lambda a, v: v + decay * (a - v), variable.value)
