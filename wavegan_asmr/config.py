"""The settings of a training, as config.json keeps them; `settings` says what a setting is."""

import dataclasses
import functools

from wavegan_asmr import storage
from wavegan_asmr.errors import UserError
from wavegan_asmr.networks.conditioning import MEASURES
from wavegan_asmr.networks.losses import LOSSES
from wavegan_asmr.presets import PRESETS
from wavegan_asmr.settings import Settings, check, setting

SLICE_LENS = (4096, 8192, 16384, 32768, 65536, 131072, 262144)

_model = functools.partial(setting, kind="model")
_training = functools.partial(setting, kind="training")
_machine = functools.partial(setting, kind="machine")
_run = functools.partial(setting, kind="run")
_found = functools.partial(setting, kind="found")


@dataclasses.dataclass(frozen=True)
class Config(Settings):
    """The settings of a training, as config.json stores them and as every script reads them.

    Raises:
        UserError: A value is of the wrong type or out of its range.
    """

    preset: str = _model(
        "paper",
        "A set of settings, which flags override: paper (all defaults, as the reference implementation), asmr "
        "(learns the sound of recordings sooner, at their sample rate and in stereo where they are; see "
        "docs/quality.md), asmr-16k (for 16 kHz in mono: shorter slices, no bands) or oneshots (words, drums and "
        "other short sounds, one a recording, at 16 kHz in mono).",
        choices=tuple(PRESETS),
    )

    family: str = _model("wavegan", "The model family: what is trained.")

    data_dir: str = _machine("", "Folder of recordings, searched recursively; or one recording.", is_path=True)
    data_sample_rate: int = _training(
        16000, "Sample rate of the model; recordings are resampled to it.", unit="Hz", at_least=1000, at_most=384000
    )
    data_slice_len: int = _model(16384, "Samples of a slice, what the model sees and makes.", choices=SLICE_LENS)
    data_num_channels: int = _model(
        1,
        "Audio channels. 1 averages any recording; more take recordings of as many or of one.",
        at_least=1,
        at_most=256,
    )
    data_overlap_ratio: float = _training(
        0.0,
        "Share that neighbouring slices of an epoch have in common: 0.75 counts four slices where 0 counts one.",
        at_least=0,
        below=1,
    )
    data_first_slice: bool = _training(False, "Use only the first slice of each recording (short one-shots).")
    data_pad_end: bool = _training(
        False, "Also use slices that run over the end of a recording, padded with zeros (short recordings)."
    )
    data_normalize: bool = _training(False, "Scale each recording to a peak of 1.")
    data_fast_wav: bool = _training(
        False, "Decode with scipy: only WAV files already at --data_sample_rate are used, others are left out."
    )
    data_min_level_db: float | None = _training(
        None, "Leave out slices whose RMS is below this level, as -60.", unit="dB of full scale", at_most=0
    )
    data_balance_levels: bool = _training(
        False, "Deal out the slices of an epoch so that each batch has soft and loud ones in their shares."
    )
    data_labels: str = _training(
        "",
        "Labels that the model listens to: folder (that of a recording, below --data_dir) or a regular expression with "
        "one group, the label in a file's name; default: none.",
    )
    data_conditions: tuple[str, ...] = _training(
        (), "Measures of a slice that the model listens to, faders when it is rendered.", choices=MEASURES.keys
    )
    label_names: tuple[str, ...] = _found((), "The labels, in the order of the model's inputs.")
    label_shares: tuple[float, ...] = _found((), "How much of the recordings each label is.", at_least=0, at_most=1)
    data_cache_dir: str = _machine(
        "", "Folder of decoded recordings; default: wavegan in the user's cache folder.", is_path=True
    )
    data_prefetch_gpu_num: int = _run(
        0,
        "Accepted for old command lines and without effect: tf.distribute moves batches to each GPU ahead of "
        "time by itself.",
    )

    wavegan_latent_dim: int = _model(100, "Dimensions of the latent vector.", at_least=1, at_most=65536)
    wavegan_kernel_len: int = _model(25, "Taps of every convolution.", at_least=4, at_most=4096)
    wavegan_dim: int = _model(
        64, "Width of the networks: channels of their layers nearest to the audio.", at_least=1, at_most=4096
    )
    wavegan_bands: int = _model(
        1,
        "Bands that each channel is made of, at a fraction of its rate: 4 make slices of 65536 samples at the cost of "
        "16384.",
        choices=(1, 2, 4, 8, 16),
    )
    wavegan_batchnorm: bool = _model(False, "Batch normalisation in both networks.")
    wavegan_genr_upsample: str = _model(
        "zeros",
        "How the generator upsamples: zeros (transposed convolution) or nn (nearest neighbour).",
        choices=("zeros", "nn"),
    )
    wavegan_genr_noise: bool = _model(
        False, "Noise with learned scales before every convolution of the generator, against the metallic comb."
    )
    wavegan_genr_noise_relative: bool = _model(
        False, "With --wavegan_genr_noise: some of the noise in proportion to the level of what it is added to."
    )
    wavegan_genr_noise_bits: int = _model(
        32,
        "Random bits of each number of the noise; 16 are drawn in half the time.",
        choices=(16, 32),
        only_with=("wavegan_genr_noise", (True,)),
    )
    wavegan_genr_noise_pulses: bool = _model(
        False, "With --wavegan_genr_noise: rare pulses beside it, of which the generator makes drops and crackles."
    )
    wavegan_genr_pp: bool = _model(False, "A learned post-filter over the generator's audio.")
    wavegan_genr_pp_len: int = _model(
        512, "Taps of the post-filter.", at_least=1, at_most=65536, only_with=("wavegan_genr_pp", (True,))
    )
    # Shifts must be shorter than what is shifted: 32 positions before the last convolution of 8192 samples.
    wavegan_disc_phaseshuffle: int = _model(
        2, "Radius of the phase shuffle; 0 for none.", unit="samples", at_least=0, at_most=31
    )
    wavegan_disc_phaseshuffle_per: str = _model(
        "batch",
        "One shift for the whole batch (as the reference implementation) or one for each example.",
        choices=("batch", "example"),
    )
    wavegan_disc_levels: int = _model(
        0,
        "Windows to whose levels, frequency by frequency, the discriminator listens beside the audio itself; 0: it "
        "does not. Words are learned by them, see docs/quality.md.",
        unit="samples",
        choices=(0, 32, 64, 128, 256, 512, 1024, 2048),
    )
    wavegan_loss: str = _training(
        "wgan-gp", "The game the networks play; docs/training.md lists them.", choices=LOSSES.keys
    )
    wavegan_disc_nupdates: int = _training(
        5, "Discriminator updates for one generator update.", at_least=1, at_most=1000
    )
    wavegan_gp_lambda: float = _training(
        10.0,
        "Weight of the gradient penalty (wgan-gp; hinge: of R1, rpgan: of R1 and R2, relative to the recordings' "
        "level).",
        at_least=0,
    )
    wavegan_gp_every: int = _training(
        1,
        "Discriminator updates for one with the gradient penalty, whose weight is as many times as large.",
        at_least=1,
    )
    wavegan_genr_texture: float = _training(
        0.0,
        "Weight of the texture in what the generator learns from: how far the statistics of its spectrograms are from "
        "those of the recordings; 0 for none.",
        at_least=0,
    )
    wavegan_genr_likeness: float = _training(
        0.0,
        "Weight, in what the generator learns from, of how alike slices of a batch are sample by sample, beyond what "
        "recordings are; 0 for none.",
        at_least=0,
    )
    wavegan_clip: float = _training(0.01, "Largest weight of the discriminator (wgan).", at_least=1e-9, at_most=1000)
    wavegan_genr_lr: float | None = _training(
        None, "Learning rate of the generator; default: the loss's own.", at_least=0, at_most=1000
    )
    wavegan_disc_lr: float | None = _training(
        None, "Learning rate of the discriminator; default: the loss's own.", at_least=0, at_most=1000
    )
    wavegan_lr_hold: int = _training(
        0,
        "Generator updates after which both learning rates fall, by the root of the updates done: to a half after four "
        "times as many; 0 for never.",
        at_least=0,
    )
    wavegan_beta1: float | None = _training(
        None,
        "Adam's decay of the mean gradient (dcgan, wgan-gp, hinge, rpgan); default: the loss's own.",
        at_least=0,
        below=1,
    )
    wavegan_beta2: float | None = _training(
        None,
        "Adam's decay of the squared gradient (dcgan, wgan-gp, hinge, rpgan); default: the loss's own.",
        at_least=0,
        below=1,
    )

    wavenet_dilations: tuple[int, ...] = _model(
        tuple(2**i for i in range(10)),
        "Samples between the two taps of each block of a WaveNet's, in turn.",
        at_least=1,
        at_most=262144,
    )
    wavenet_repeats: int = _model(2, "How often the dilations come after each other.", at_least=1, at_most=100)
    wavenet_channels: int = _model(32, "Channels of a WaveNet's blocks.", at_least=1, at_most=4096)
    wavenet_skip_channels: int = _model(
        64, "Channels that skip from a WaveNet's blocks to its end.", at_least=1, at_most=4096
    )
    lstm_units: int = _model(256, "Cells of a layer of an LSTM.", at_least=1, at_most=8192)
    lstm_layers: int = _model(2, "Layers of an LSTM.", at_least=1, at_most=32)
    lstm_unroll: int = _training(
        512, "Samples through which the gradients of an LSTM go back; they divide a slice.", at_least=1, at_most=262144
    )
    autoregressive_lr: float = _training(1e-3, "Learning rate (wavenet, lstm).", at_least=0, at_most=1000)
    autoregressive_held_out_dir: str = _machine(
        "",
        "Folder of recordings that are not learned from; the bits a sample of a wavenet or lstm are "
        "shown for them too.",
        is_path=True,
    )

    train_batch_size: int = _training(64, "Slices of a batch, over all devices.", at_least=1, at_most=65536)
    train_seed: int = _training(0, "Seed of weights, latents, slices and shuffles.", at_least=0, at_most=2**31 - 1)
    train_ema: float = _training(
        0.999, "Decay of the averaged generator that preview and generation use; 0 for none.", at_least=0, below=1
    )
    train_precision: str = _machine(
        "auto",
        "Arithmetic of the networks; auto times an iteration in float32 and in mixed_bfloat16 at the first start. "
        "Weights, losses and the norms of the penalty stay float32.",
        choices=("auto", "float32", "mixed_bfloat16", "mixed_float16"),
    )
    train_forms: str = _machine(
        "auto",
        "Forms of the convolutions on a CPU: auto times them at the first start, table takes those of a fixed table.",
        choices=("auto", "table"),
    )
    train_init_from: str = _training(
        "",
        "Fine-tune: start a new TRAIN_DIR from the networks of this one, whose model settings it takes.",
        is_path=True,
    )
    train_save_secs: float = _machine(300.0, "Time between checkpoints.", unit="s", at_least=0)
    train_summary_secs: float = _machine(
        120.0, "Time between sounds and pictures in TensorBoard.", unit="s", at_least=0
    )
    train_keep: int = _machine(5, "Checkpoints to keep.", at_least=1)
    train_max_steps: int = _run(0, "Stop after this many generator updates in all; 0 for no end.", at_least=0)
    train_max_secs: float = _run(0.0, "Stop this run after so long; 0 for no end.", unit="s", at_least=0)

    train_eval_secs: float = _machine(
        0.0,
        "Time between evaluations, which keep the best checkpoint in TRAIN_DIR/best; 0 for none.",
        unit="s",
        at_least=0,
    )
    train_patience: int = _machine(
        0, "Stop after so many evaluations (--train_eval_secs) without a better one; 0 for no end.", at_least=0
    )

    def __post_init__(self):
        super().__post_init__()
        for name in ("wavegan_genr_noise_relative", "wavegan_genr_noise_pulses"):
            if getattr(self, name) and not self.wavegan_genr_noise:
                raise UserError(
                    f"--{name} needs --wavegan_genr_noise. Received: --nowavegan_genr_noise; leave out both or none "
                    f"(--no{name})."
                )

        if self.wavegan_bands > 1 and self.wavegan_genr_pp:
            raise UserError(
                "--wavegan_genr_pp filters audio, and with --wavegan_bands the discriminator hears bands: it would not "
                f"be learned. Received: --wavegan_bands {self.wavegan_bands}; give --wavegan_bands 1 or leave out the "
                "post-filter."
            )

        if len(set(self.data_conditions)) < len(self.data_conditions):
            raise UserError(f"--data_conditions must not name one twice. Received: {','.join(self.data_conditions)!r}.")
        if len(self.label_names) != len(self.label_shares) or len(set(self.label_names)) < len(self.label_names):
            raise UserError(
                "label_names and label_shares must be as many, and no name twice. Received: "
                f"{storage.shorten(list(self.label_names))} and {len(self.label_shares)} shares."
            )

    @property
    def given_dim(self):
        """Numbers that the model listens to besides its latent vector: one a label, one a measure."""
        return len(self.label_names) + len(self.data_conditions)

    @property
    def post_filter_len(self):
        """Taps of the post-filter, 0 for none."""
        return self.wavegan_genr_pp_len if self.wavegan_genr_pp else 0

    @property
    def slice_s(self):
        """Seconds of a slice."""
        return self.data_slice_len / self.data_sample_rate


def preset_settings(name, slice_len=None):
    """Returns the settings of a preset, a dict of name to value.

    Args:
        name: String; one that is none of `PRESETS` has none, and `Config` refuses it.
        slice_len: Integer, samples of a slice if they are not those of the preset: short ones have fewer bands.
    """
    settings = PRESETS.get(name, {})
    if slice_len and "wavegan_bands" in settings:
        return settings | {"wavegan_bands": min(settings["wavegan_bands"], max(1, slice_len // min(SLICE_LENS)))}
    return settings


def preset_of(config):
    """Returns today's name of the preset of a `Config`: asmr was once what is asmr-16k now."""
    was_16k = config.preset == "asmr" and config.data_sample_rate == 16000 and config.wavegan_bands == 1
    return "asmr-16k" if was_16k else config.preset


def merge(stored, given, fixed_kinds):
    """Puts the given settings over stored ones, as resuming does; those of kind run are not taken from the store.

    Args:
        stored: `Config`.
        given: Dict of setting name to value.
        fixed_kinds: The kinds whose settings must not change.

    Returns:
        `Config`.

    Raises:
        UserError: A given setting of a fixed kind differs from the stored one; names it and both values.
    """
    for field in dataclasses.fields(Config):
        if field.name not in given or field.metadata["kind"] not in fixed_kinds:
            continue
        old, new = getattr(stored, field.name), check(field, given[field.name])
        if field.name == "preset" and new == preset_of(stored):
            given = given | {"preset": old}
        elif old != new:
            raise UserError(
                f"--{field.name} cannot change in a TRAIN_DIR that has begun: stored {old!r}, received {new!r}. "
                "Leave the flag out to go on, or begin a new TRAIN_DIR (--train_init_from takes over the weights)."
            )
    return dataclasses.replace(remembered(stored), **given)


def remembered(config):
    """Returns a `Config` whose settings of kind run, which are not remembered, have their defaults."""
    defaults = {f.name: f.default for f in dataclasses.fields(Config) if f.metadata["kind"] == "run"}
    return dataclasses.replace(config, **defaults)


def model_settings(config):
    """Returns the settings of kind model, as a dict of name to value."""
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(Config) if f.metadata["kind"] == "model"}


def check_recordings(config):
    """Checks that the recordings of a training are where it found them.

    Raises:
        UserError: They have moved, or are not known; says how to give the new place.
    """
    if storage.is_gone(config.data_dir):
        why = "not where it found them" if config.data_dir else "not known, since it was imported or shared"
        raise UserError(
            f"the recordings of this training are {why}; say where they are now: --data_dir FOLDER. "
            f"Received: {config.data_dir!r}."
        )
