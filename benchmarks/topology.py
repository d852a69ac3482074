"""The layers of WaveGAN as numbers, without TensorFlow, and what they cost by formula.

Work is counted in FLOP, two a multiply-add, of convolutions and dense layers with all their taps; the rest (biases,
rectifiers, optimisers) is far less. Of a convolution, the output, the gradient with respect to the input and the one
with respect to the kernel cost the same. With D and G for the forward pass of discriminator and generator on a batch,
D1 for the discriminator's layer next to the audio and G1 for the generator's dense layer, whose gradients with respect
to audio and latent vectors nobody needs, wgan-gp costs

    update of the discriminator   G              fake audio
                                  2 (3 D - D1)   real and fake: forward, two gradients
                                  4 D            penalty: forward, gradient of the logit with respect to the audio, and
                                                 the two gradients of that chain; its rectifiers are constants
    update of the generator       3 G - G1       forward, two gradients
                                  2 D            forward, gradient with respect to the audio

Frameworks that differentiate the penalty by rote also send zeros back through its convolutions: with Dn for the dense
layer of the discriminator, 2 (D - Dn) - D1 more.
"""

import dataclasses
import math

GRID_LEN = 16
KERNEL_LEN = 25
LATENT_DIM = 100
MAX_MULTIPLIER = 32
DISCRIMINATOR_UPDATES = 5


def strides(slice_len):
    """Strides of the generator from the grid of 16 positions, of the discriminator from the audio: fours, and a two."""
    fours, rest = divmod(int(math.log2(slice_len // GRID_LEN)), 2)
    return [4] * fours + [2] * rest


def widths(slice_len, dim):
    """Channels of every layer but the audio, from the audio towards the grid."""
    return [dim * min(2**i, MAX_MULTIPLIER) for i in range(len(strides(slice_len)))]


@dataclasses.dataclass(frozen=True)
class Work:
    """FLOP of forward passes on a batch.

    Args:
        slice_len, dim, batch_size: Integers.
    """

    slice_len: int
    dim: int
    batch_size: int

    @property
    def discriminator(self):
        """D."""
        return sum(self._convolutions(strides(self.slice_len))) + self.discriminator_last

    @property
    def discriminator_first(self):
        """D1."""
        return self._convolutions(strides(self.slice_len))[0]

    @property
    def discriminator_last(self):
        """Dn."""
        return 2 * self.batch_size * GRID_LEN * widths(self.slice_len, self.dim)[-1]

    @property
    def generator(self):
        """G."""
        return self.generator_first + sum(self._convolutions(reversed(strides(self.slice_len))))

    @property
    def generator_first(self):
        """G1."""
        return 2 * self.batch_size * LATENT_DIM * GRID_LEN * widths(self.slice_len, self.dim)[-1]

    @property
    def iteration(self):
        """Five updates of the discriminator and one of the generator, what the mathematics needs."""
        d, g = self.discriminator, self.generator
        of_discriminator = g + 2 * (3 * d - self.discriminator_first) + 4 * d
        return DISCRIMINATOR_UPDATES * of_discriminator + 3 * g - self.generator_first + 2 * d

    @property
    def iteration_by_rote(self):
        """The same with the zeros of the penalty."""
        zeros = 2 * (self.discriminator - self.discriminator_last) - self.discriminator_first
        return self.iteration + DISCRIMINATOR_UPDATES * zeros

    def _convolutions(self, strides_from_audio):
        flop, positions, channels = [], self.slice_len, 1
        for stride, width in zip(strides_from_audio, widths(self.slice_len, self.dim)):
            positions //= stride
            flop.append(2 * self.batch_size * positions * KERNEL_LEN * channels * width)
            channels = width
        return flop
