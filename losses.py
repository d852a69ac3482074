"""The games that generator and discriminator play: one class a GAN loss, with the optimisers that belong to it.

Means are over the batch given; where a batch is spread over devices, divide by their number. D(x) and D(G(z))
are the discriminator's outputs for real and for generated audio, float32 `[batch]`.
"""

import keras
import tensorflow as tf

PENALTY_EPSILON = 1e-12
"""Under the root of the penalty's norm, whose gradient is infinite at zero."""

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


class Loss:
    """The rules of a game. Rates and decays default to those of the reference implementation.

    Args:
        genr_lr, disc_lr: Float or None, learning rates of generator and discriminator.
        beta1, beta2: Float or None, Adam's decays.
        penalty_weight: Float, lambda of the gradient penalty (wgan-gp).
        clip: Float, the largest weight of the discriminator (wgan).
    """

    learning_rate: float
    """The reference's rate, of both networks."""
    betas: tuple | None = None
    """Adam's decays; None where the optimiser is RMSProp."""

    def __init__(self, genr_lr=None, disc_lr=None, beta1=None, beta2=None, penalty_weight=10.0, clip=0.01):
        self.genr_lr = self.learning_rate if genr_lr is None else genr_lr
        self.disc_lr = self.learning_rate if disc_lr is None else disc_lr
        if self.betas:
            self.betas = (
                self.betas[0] if beta1 is None else beta1,
                self.betas[1] if beta2 is None else beta2,
            )
        self.penalty_weight = penalty_weight
        self.clip = clip

    def discriminator_loss(self, d_real, d_fake):
        """What the discriminator minimises, without the penalty: a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no discriminator_loss")

    def generator_loss(self, d_fake):
        """What the generator minimises: a scalar."""
        raise NotImplementedError(f"{type(self).__name__} has no generator_loss")

    def penalty(self, discriminate, real, fake, alpha, power):
        """The unweighted penalty on the discriminator, a scalar; 0 where the game has none.

        Args:
            discriminate: Function, audio -> float32 `[batch]`.
            real, fake: float32 `[batch, samples, channels]`.
            alpha: float32 `[batch, 1, 1]` in [0, 1], where between real and fake.
            power: float32 scalar, the mean square of real audio on all devices.
        """
        return tf.constant(0.0)

    constrain = None
    """Function of a weight of the discriminator: what takes its place after each update; or None."""

    def optimizers(self):
        """Returns the optimisers of the generator and of the discriminator."""
        if self.betas is None:
            return RMSprop(self.genr_lr), RMSprop(self.disc_lr)
        beta1, beta2 = self.betas
        return Adam(self.genr_lr, beta1, beta2), Adam(self.disc_lr, beta1, beta2)


class DCGAN(Loss):
    """The original game with the non-saturating generator (Goodfellow et al. 2014, section 3)."""

    learning_rate = 2e-4
    betas = (0.5, 0.999)

    def discriminator_loss(self, d_real, d_fake):
        return (_mean_cross_entropy(d_fake, 0.0) + _mean_cross_entropy(d_real, 1.0)) / 2

    def generator_loss(self, d_fake):
        return _mean_cross_entropy(d_fake, 1.0)


class LSGAN(Loss):
    """Least squares, real = 1 and fake = 0 (Mao et al. 2017, equation 9)."""

    learning_rate = 1e-4

    def discriminator_loss(self, d_real, d_fake):
        return (tf.reduce_mean((d_real - 1) ** 2) + tf.reduce_mean(d_fake**2)) / 2

    def generator_loss(self, d_fake):
        return tf.reduce_mean((d_fake - 1) ** 2)


class Wasserstein(Loss):
    """The difference of a critic's means, which estimates the Wasserstein distance if the critic is 1-Lipschitz."""

    def discriminator_loss(self, d_real, d_fake):
        return tf.reduce_mean(d_fake) - tf.reduce_mean(d_real)

    def generator_loss(self, d_fake):
        return -tf.reduce_mean(d_fake)


class WGAN(Wasserstein):
    """A critic kept Lipschitz by clipping its weights (Arjovsky et al. 2017, algorithm 1)."""

    learning_rate = 5e-5

    def constrain(self, weight):
        return tf.clip_by_value(weight, -self.clip, self.clip)


class WGANGP(Wasserstein):
    """A critic kept 1-Lipschitz by a penalty on its gradient (Gulrajani et al. 2017, equation 3)."""

    learning_rate = 1e-4
    betas = (0.5, 0.9)

    def penalty(self, discriminate, real, fake, alpha, power):
        norms = tf.sqrt(_squared_slopes(discriminate, real + alpha * (fake - real)) + PENALTY_EPSILON)  # [batch]
        return tf.reduce_mean((norms - 1) ** 2)


class Hinge(Loss):
    """The hinge game (Lim and Ye 2017) with a penalty on the gradient at real audio (R1, Mescheder et al. 2018).

    The penalty is the squared gradient with respect to audio in units of its own level, so that one weight suits loud
    recordings and soft ones: a quiet sound tenfold softer takes a slope tenfold steeper to be told from another.
    """

    learning_rate = 2e-4
    betas = (0.5, 0.9)

    def discriminator_loss(self, d_real, d_fake):
        return tf.reduce_mean(tf.nn.relu(1 - d_real)) + tf.reduce_mean(tf.nn.relu(1 + d_fake))

    def generator_loss(self, d_fake):
        return -tf.reduce_mean(d_fake)

    def penalty(self, discriminate, real, fake, alpha, power):
        return tf.reduce_mean(_squared_slopes(discriminate, real)) * power


LOSSES = {"dcgan": DCGAN, "lsgan": LSGAN, "wgan": WGAN, "wgan-gp": WGANGP, "hinge": Hinge}
"""Values of --wavegan_loss -> classes."""


def _mean_cross_entropy(logits, label):
    labels = tf.fill(tf.shape(logits), label)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


def _squared_slopes(discriminate, x):
    """Squared Euclidean norms of the gradients of what a discriminator says to x: float32 `[batch]`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        d_x = discriminate(x)
    slopes = tf.cast(tape.gradient(d_x, x), tf.float32)
    return tf.reduce_sum(slopes**2, axis=[1, 2])
