"""The games that generator and discriminator play: one class a GAN loss, with the optimisers that belong to it.

To add one, write its class and name it in `LOSSES`: the choices of --wavegan_loss, the flags that are refused beside
other losses, and the table of docs/training.md follow.

Means are over the batch given; where a batch is spread over devices, divide by their number. D(x) and D(G(z))
are the discriminator's outputs for real and for generated audio, float32 `[batch]`.
"""

from wavegan_asmr.lazy import LazyModule

# The names and words of losses are wanted by --help, which must not wait for TensorFlow.
tf = LazyModule("tensorflow")
optimizers = LazyModule("wavegan_asmr.networks.optimizers")

PENALTY_EPSILON = 1e-12
"""Under the root of the penalty's norm, whose gradient is infinite at zero."""

_RATES = ("wavegan_genr_lr", "wavegan_disc_lr")
_ADAM = ("wavegan_beta1", "wavegan_beta2")
_PENALTY = ("wavegan_gp_lambda", "wavegan_gp_every")


class Loss:
    """The rules of a game. Rates and decays default to those of the reference implementation.

    Args:
        genr_lr, disc_lr: Float or None, learning rates of generator and discriminator.
        beta1, beta2: Float or None, Adam's decays.
        penalty_weight: Float, lambda of the gradient penalty (wgan-gp).
        clip: Float, the largest weight of the discriminator (wgan).
    """

    name: str
    """The value of --wavegan_loss."""
    words: str
    """What it is, for help and docs."""
    reads: tuple
    """Settings that it reads."""
    compares: bool = False
    """Whether `generator_loss` takes what the discriminator says to real audio too (relativistic losses)."""
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

    def generator_loss(self, d_fake, d_real=None):
        """What the generator minimises: a scalar; `d_real` is there where the loss `compares`."""
        raise NotImplementedError(f"{type(self).__name__} has no generator_loss")

    def penalty(self, discriminate, real, fake, alpha, power):
        """The unweighted penalty on the discriminator, a scalar; 0 where the game has none.

        Args:
            discriminate: Function, audio -> float32 `[batch]`.
            real, fake: float32 `[batch, ...]`, what the discriminator sees.
            alpha: float32 `[batch, 1, ...]` of their rank, in [0, 1], where between real and fake.
            power: float32 scalar, the mean square of real audio on all devices.
        """
        return tf.constant(0.0)

    constrain = None
    """Function of a weight of the discriminator: what takes its place after each update; or None."""

    def optimizers(self):
        """Returns the optimisers of the generator and of the discriminator."""
        if self.betas is None:
            return optimizers.RMSprop(self.genr_lr), optimizers.RMSprop(self.disc_lr)
        beta1, beta2 = self.betas
        return optimizers.Adam(self.genr_lr, beta1, beta2), optimizers.Adam(self.disc_lr, beta1, beta2)


class DCGAN(Loss):
    """The original game with the non-saturating generator (Goodfellow et al. 2014, section 3)."""

    name = "dcgan"
    words = "cross entropy, the original game"
    reads = (*_RATES, *_ADAM)
    learning_rate = 2e-4
    betas = (0.5, 0.999)

    def discriminator_loss(self, d_real, d_fake):
        return (_mean_cross_entropy(d_fake, 0.0) + _mean_cross_entropy(d_real, 1.0)) / 2

    def generator_loss(self, d_fake, d_real=None):
        return _mean_cross_entropy(d_fake, 1.0)


class LSGAN(Loss):
    """Least squares, real = 1 and fake = 0 (Mao et al. 2017, equation 9)."""

    name = "lsgan"
    words = "least squares"
    reads = _RATES
    learning_rate = 1e-4

    def discriminator_loss(self, d_real, d_fake):
        return (tf.reduce_mean((d_real - 1) ** 2) + tf.reduce_mean(d_fake**2)) / 2

    def generator_loss(self, d_fake, d_real=None):
        return tf.reduce_mean((d_fake - 1) ** 2)


class Wasserstein(Loss):
    """The difference of a critic's means, which estimates the Wasserstein distance if the critic is 1-Lipschitz."""

    def discriminator_loss(self, d_real, d_fake):
        return tf.reduce_mean(d_fake) - tf.reduce_mean(d_real)

    def generator_loss(self, d_fake, d_real=None):
        return -tf.reduce_mean(d_fake)


class WGAN(Wasserstein):
    """A critic kept Lipschitz by clipping its weights (Arjovsky et al. 2017, algorithm 1)."""

    name = "wgan"
    words = "Wasserstein distance, weights of the critic clipped"
    reads = (*_RATES, "wavegan_clip")
    learning_rate = 5e-5

    def constrain(self, weight):
        return tf.clip_by_value(weight, -self.clip, self.clip)


class WGANGP(Wasserstein):
    """A critic kept 1-Lipschitz by a penalty on its gradient (Gulrajani et al. 2017, equation 3)."""

    name = "wgan-gp"
    words = "Wasserstein distance, gradient penalty; the paper's"
    reads = (*_RATES, *_ADAM, *_PENALTY)
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

    name = "hinge"
    words = "hinge, with a penalty on the gradient at recordings (R1)"
    reads = (*_RATES, *_ADAM, *_PENALTY)
    learning_rate = 2e-4
    betas = (0.5, 0.9)

    def discriminator_loss(self, d_real, d_fake):
        return tf.reduce_mean(tf.nn.relu(1 - d_real)) + tf.reduce_mean(tf.nn.relu(1 + d_fake))

    def generator_loss(self, d_fake, d_real=None):
        return -tf.reduce_mean(d_fake)

    def penalty(self, discriminate, real, fake, alpha, power):
        return tf.reduce_mean(_squared_slopes(discriminate, real)) * power


class RpGAN(Loss):
    """Each recording against a generated slice (Jolicoeur-Martineau 2019, RpGAN), with R1 and R2 (Huang et al. 2025).

    Only how the two logits differ counts: the generator has to come near every recording, each of which it is held
    against, not just to the right side of one border for all. The penalty is that of `Hinge`, at generated audio too
    and in the same units, those of the recordings' level.
    """

    name = "rpgan"
    words = "recordings against generated audio in pairs, with a penalty on the gradient at both (R1 and R2)"
    reads = (*_RATES, *_ADAM, *_PENALTY)
    compares = True
    learning_rate = 2e-4
    betas = (0.5, 0.9)

    def discriminator_loss(self, d_real, d_fake):
        return tf.reduce_mean(tf.nn.softplus(d_fake - d_real))

    def generator_loss(self, d_fake, d_real=None):
        return tf.reduce_mean(tf.nn.softplus(d_real - d_fake))

    def penalty(self, discriminate, real, fake, alpha, power):
        slopes = _squared_slopes(discriminate, real) + _squared_slopes(discriminate, fake)  # [batch]
        return tf.reduce_mean(slopes) * power


LOSSES = {loss.name: loss for loss in (DCGAN, LSGAN, WGAN, WGANGP, Hinge, RpGAN)}
"""The registry: value of --wavegan_loss -> class."""


def _mean_cross_entropy(logits, label):
    labels = tf.fill(tf.shape(logits), label)
    return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))


def _squared_slopes(discriminate, x):
    """Squared Euclidean norms of the gradients of what a discriminator says to x: float32 `[batch]`."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        d_x = discriminate(x)
    slopes = tf.cast(tape.gradient(d_x, x), tf.float32)
    return tf.reduce_sum(slopes**2, axis=list(range(1, x.shape.rank)))
