"""WaveGAN in PyTorch: native layers with their own padding, channels first, a pass for each of real, fake and penalty.

Where TensorFlow's "SAME" pads one sample more behind, PyTorch's symmetric padding comes to one more in front. So the
networks are each other's mirror images in time: with kernels run backwards, and audio too, they give the same numbers
(`copy_generator`, `copy_discriminator`).
"""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks import topology


def padding(stride):
    """Padding of a convolution, and the `output_padding` of a transposed one."""
    overlap = topology.KERNEL_LEN - stride
    return (overlap + 1) // 2, overlap % 2


class Generator(nn.Module):
    """Latent vectors `[batch, 100]` -> audio `[batch, 1, slice_len]`."""

    def __init__(self, slice_len, dim):
        super().__init__()
        self.widths = topology.widths(slice_len, dim)[::-1]
        self.project = nn.Linear(topology.LATENT_DIM, topology.GRID_LEN * self.widths[0])
        convs = []
        for stride, channels, width in zip(topology.strides(slice_len), self.widths, [*self.widths[1:], 1]):
            pad, output_pad = padding(stride)
            convs.append(nn.ConvTranspose1d(channels, width, topology.KERNEL_LEN, stride, pad, output_pad))
        self.convs = nn.ModuleList(convs)

    def forward(self, z):
        x = self.project(z).view(-1, self.widths[0], topology.GRID_LEN)
        for conv in self.convs:
            x = conv(functional.relu(x))
        return torch.tanh(x.float())


class Discriminator(nn.Module):
    """Audio `[batch, 1, slice_len]` -> logits `[batch]`."""

    def __init__(self, slice_len, dim, phaseshuffle=2):
        super().__init__()
        self.phaseshuffle = phaseshuffle
        widths = topology.widths(slice_len, dim)
        self.convs = nn.ModuleList(
            nn.Conv1d(channels, width, topology.KERNEL_LEN, stride, padding(stride)[0])
            for stride, channels, width in zip(topology.strides(slice_len), [1, *widths], widths)
        )
        self.output = nn.Linear(topology.GRID_LEN * widths[-1], 1)

    def forward(self, x):
        for conv in self.convs:
            x = functional.leaky_relu(conv(x), 0.2)
            if x.shape[2] > topology.GRID_LEN:
                x = self._shuffle(x)
        return self.output(x.flatten(1)).float()[:, 0]

    def _shuffle(self, x):
        """One random shift for the whole batch, filled by reflection."""
        if not (self.training and self.phaseshuffle):
            return x
        shift = int(torch.randint(-self.phaseshuffle, self.phaseshuffle + 1, []))
        front, back = max(shift, 0), max(-shift, 0)
        length = x.shape[2]
        return functional.pad(x, (front, back), mode="reflect")[:, :, back : back + length]


class WGAN:
    """Both networks, their optimisers and the training step (wgan-gp, lambda 10, Adam 1e-4 / 0.5 / 0.9).

    Args:
        slice_len, dim, batch_size, phaseshuffle: Integers.
        autocast: Boolean, compute in bfloat16.
    """

    penalty_weight = 10.0

    def __init__(self, slice_len, dim, batch_size, phaseshuffle=2, autocast=False):
        self.batch_size = batch_size
        self.autocast = autocast
        self.generator = Generator(slice_len, dim)
        self.discriminator = Discriminator(slice_len, dim, phaseshuffle)
        self.generator_optimizer, self.discriminator_optimizer = (
            torch.optim.Adam(network.parameters(), 1e-4, (0.5, 0.9)) for network in (self.generator, self.discriminator)
        )

    def train_step(self, real):
        """One iteration on a real batch, float32 `[batch, 1, samples]`: the losses."""
        metrics = {}
        for _ in range(topology.DISCRIMINATOR_UPDATES):
            metrics = self.train_discriminator(real, self._latents(), torch.rand(self.batch_size, 1, 1))
        return metrics | self.train_generator(self._latents())

    def train_discriminator(self, real, z, alpha):
        """One update of the discriminator; `alpha` is float32 `[batch, 1, 1]`, where between real and fake."""
        self.discriminator.requires_grad_(True)
        self.discriminator_optimizer.zero_grad()
        with self._precision():
            with torch.no_grad():
                fake = self.generator(z)
            d_fake, d_real = self.discriminator(fake), self.discriminator(real)
            penalty = self._penalty(real, fake, alpha)
            loss = d_fake.mean() - d_real.mean() + self.penalty_weight * penalty
        loss.backward()
        self.discriminator_optimizer.step()
        return {"D_loss": loss.item(), "penalty": penalty.item()}

    def train_generator(self, z):
        """One update of the generator."""
        self.discriminator.requires_grad_(False)
        self.generator_optimizer.zero_grad()
        with self._precision():
            loss = -self.discriminator(self.generator(z)).mean()
        loss.backward()
        self.generator_optimizer.step()
        return {"G_loss": loss.item()}

    def _penalty(self, real, fake, alpha):
        between = (real + alpha * (fake - real)).requires_grad_(True)
        (slopes,) = torch.autograd.grad(self.discriminator(between).sum(), between, create_graph=True)
        norms = (slopes.square().sum([1, 2]) + 1e-12).sqrt()
        return ((norms - 1) ** 2).mean()

    def _latents(self):
        return 2 * torch.rand(self.batch_size, topology.LATENT_DIM) - 1

    def _precision(self):
        return torch.autocast("cpu", torch.bfloat16, enabled=self.autocast)


def copy_generator(weights, network):
    """Gives a `Generator` the weights of `wavegan.build_generator`, a list of arrays, for mirrored audio."""
    kernel, bias, *convs = weights
    channels = network.widths[0]
    kernel = kernel.reshape(-1, topology.GRID_LEN, channels)[:, ::-1].transpose(2, 1, 0)
    _assign(network.project, kernel.reshape(channels * topology.GRID_LEN, -1), _mirrored_grid(bias, channels))
    for layer, kernel, bias in zip(network.convs, convs[::2], convs[1::2]):
        _assign(layer, kernel[::-1].transpose(2, 1, 0), bias)


def copy_discriminator(weights, network):
    """Gives a `Discriminator` the weights of `wavegan.build_discriminator`, a list of arrays, for mirrored audio."""
    *convs, kernel, bias = weights
    for layer, conv_kernel, conv_bias in zip(network.convs, convs[::2], convs[1::2]):
        _assign(layer, conv_kernel[::-1].transpose(2, 1, 0), conv_bias)
    _assign(network.output, _mirrored_grid(kernel, convs[-1].size)[None], bias)


def gradient_norm(network):
    """Norm of the gradients of the last update of a network."""
    return float(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]).norm())


def _mirrored_grid(x, channels):
    """Array of positions by channels -> channels by positions, backwards: `[channels * 16]`."""
    return x.reshape(topology.GRID_LEN, channels)[::-1].T.reshape(-1)


def _assign(layer, weight, bias):
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(bias)))
