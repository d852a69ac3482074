"""Optimisers as the reference implementation's TensorFlow 1 defines them."""

import keras
import tensorflow as tf

OPTIMIZER_NAME = "optimizer"
"""Fixed, because checkpoints hold the names of an optimiser's variables and Keras would number them."""


class RMSprop(keras.optimizers.RMSprop):
    """RMSProp as TensorFlow 1 defines it: decay 0.9, epsilon 1e-10, and accumulators that start at one.

    Keras starts them at zero, which makes the first steps about three times larger.
    """

    def __init__(self, learning_rate):
        super().__init__(learning_rate, rho=0.9, epsilon=1e-10, name=OPTIMIZER_NAME)

    def build(self, variables):
        super().build(variables)
        for velocity in self._velocities:
            velocity.assign(tf.ones_like(velocity))


class Adam(keras.optimizers.Adam):
    """Adam (Kingma and Ba 2015, end of section 2), each update as the one operation that TensorFlow has for it.

    Keras composes it of a dozen operations, each of which reads or writes all weights or moments.
    """

    def __init__(self, learning_rate, beta1, beta2):
        super().__init__(learning_rate, beta1, beta2, epsilon=1e-8, name=OPTIMIZER_NAME)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        update = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**update,
            beta2_power=self.beta_2**update,
            lr=tf.cast(learning_rate, variable.dtype),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
