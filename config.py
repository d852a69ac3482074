"""Every setting of a training, its flag, its rules, and config.json.

A setting is a field of `Config`; its flag, default, help and range are written once, there. Settings come in
four kinds, which decide what may change when a TRAIN_DIR is resumed:

    model     shapes the networks; never changes
    training  decides what is learned; never changes once training has begun
    machine   suits the machine and is remembered; may be given anew
    run       how a run behaves; given at every start, and not remembered
"""

import dataclasses
import json
import math
import typing

from absl import flags

import cli
from errors import UserError

SLICE_LENS = (4096, 8192, 16384, 32768, 65536, 131072, 262144)


def _setting(kind, default, text, at_least=None, at_most=None, below=None, choices=None):
    metadata = {
        "kind": kind,
        "text": text,
        "at_least": at_least,
        "at_most": at_most,
        "below": below,
        "choices": choices,
    }
    return dataclasses.field(default=default, metadata=metadata)


def _model(default, text, **rules):
    return _setting("model", default, text, **rules)


def _training(default, text, **rules):
    return _setting("training", default, text, **rules)


def _machine(default, text, **rules):
    return _setting("machine", default, text, **rules)


def _run(default, text, **rules):
    return _setting("run", default, text, **rules)


PRESETS = {
    "paper": {},
    "asmr": {
        "wavegan_dim": 16,
        "train_batch_size": 16,
        "wavegan_genr_noise": True,
        "wavegan_genr_noise_relative": True,
        "wavegan_disc_phaseshuffle_per": "example",
        "wavegan_genr_texture": 5.0,
        "wavegan_loss": "hinge",
        "wavegan_disc_nupdates": 1,
        "wavegan_gp_lambda": 0.1,
        "wavegan_gp_every": 4,
        "wavegan_genr_lr": 5e-4,
        "wavegan_lr_hold": 1000,
    },
}
"""Values of --preset -> settings that take the place of the defaults, which are those of the reference."""


@dataclasses.dataclass(frozen=True)
class Config:
    """The settings of a training, as config.json stores them and as every script reads them.

    Raises:
        UserError: A value is of the wrong type or out of its range.
    """

    preset: str = _model(
        "paper",
        "A set of settings, which flags override: paper (all defaults, as the reference implementation) or asmr "
        "(learns the sound of recordings sooner; see docs/quality.md).",
        choices=tuple(PRESETS),
    )

    data_dir: str = _training("", "Folder of recordings, searched recursively.")
    data_sample_rate: int = _training(
        16000, "Sample rate of the model, Hz; recordings are resampled to it.", at_least=1000, at_most=384000
    )
    data_slice_len: int = _model(16384, "Samples of a slice, what the model sees and makes.", choices=SLICE_LENS)
    data_num_channels: int = _model(
        1, "Audio channels. 1 averages any recording; more take recordings of as many or of one.", at_least=1
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
        None, "Leave out slices whose RMS is below this level, dB relative to full scale, as -60.", at_most=0
    )
    data_cache_dir: str = _run("", "Folder of decoded recordings; default: wavegan in the user's cache folder.")
    data_prefetch_gpu_num: int = _run(
        0,
        "Accepted for old command lines and without effect: tf.distribute moves batches to each GPU ahead of "
        "time by itself.",
    )

    wavegan_latent_dim: int = _model(100, "Dimensions of the latent vector.", at_least=1)
    wavegan_kernel_len: int = _model(25, "Taps of every convolution.", at_least=4)
    wavegan_dim: int = _model(64, "Width of the networks: channels of their layers nearest to the audio.", at_least=1)
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
    wavegan_genr_pp: bool = _model(False, "A learned post-filter over the generator's audio.")
    wavegan_genr_pp_len: int = _model(512, "Taps of the post-filter.", at_least=1)
    # Shifts must be shorter than what is shifted: 32 positions before the last convolution of 8192 samples.
    wavegan_disc_phaseshuffle: int = _model(
        2, "Radius of the phase shuffle, samples; 0 for none.", at_least=0, at_most=31
    )
    wavegan_disc_phaseshuffle_per: str = _model(
        "batch",
        "One shift for the whole batch (as the reference implementation) or one for each example.",
        choices=("batch", "example"),
    )
    wavegan_loss: str = _training(
        "wgan-gp", "The game the networks play.", choices=("dcgan", "lsgan", "wgan", "wgan-gp", "hinge")
    )
    wavegan_disc_nupdates: int = _training(5, "Discriminator updates for one generator update.", at_least=1)
    wavegan_gp_lambda: float = _training(
        10.0, "Weight of the gradient penalty (wgan-gp; hinge: of R1, relative to the recordings' level).", at_least=0
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
    wavegan_clip: float = _training(0.01, "Largest weight of the discriminator (wgan).", at_least=1e-9)
    wavegan_genr_lr: float | None = _training(
        None, "Learning rate of the generator; default: the loss's own.", at_least=0
    )
    wavegan_disc_lr: float | None = _training(
        None, "Learning rate of the discriminator; default: the loss's own.", at_least=0
    )
    wavegan_lr_hold: int = _training(
        0,
        "Generator updates after which both learning rates fall, by the root of the updates done: to a half after four "
        "times as many; 0 for never.",
        at_least=0,
    )
    wavegan_beta1: float | None = _training(
        None, "Adam's decay of the mean gradient (dcgan, wgan-gp, hinge); default: the loss's own.", at_least=0, below=1
    )
    wavegan_beta2: float | None = _training(
        None,
        "Adam's decay of the squared gradient (dcgan, wgan-gp, hinge); default: the loss's own.",
        at_least=0,
        below=1,
    )

    train_batch_size: int = _training(64, "Slices of a batch, over all devices.", at_least=1)
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
    train_init_from: str = _training(
        "", "Fine-tune: start a new TRAIN_DIR from the networks of this one, whose model settings it takes."
    )
    train_save_secs: float = _run(300.0, "Seconds between checkpoints.", at_least=0)
    train_summary_secs: float = _run(120.0, "Seconds between sounds and pictures in TensorBoard.", at_least=0)
    train_keep: int = _run(5, "Checkpoints to keep.", at_least=1)
    train_max_steps: int = _run(0, "Stop after this many generator updates in all; 0 for no end.", at_least=0)
    train_max_secs: float = _run(0.0, "Stop this run after so many seconds; 0 for no end.", at_least=0)

    train_eval_secs: float = _run(
        0.0, "Seconds between evaluations, which keep the best checkpoint in TRAIN_DIR/best; 0 for none.", at_least=0
    )
    train_patience: int = _run(
        0, "Stop after so many evaluations (--train_eval_secs) without a better one; 0 for no end.", at_least=0
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, _check(field, getattr(self, field.name)))
        if self.wavegan_genr_noise_relative and not self.wavegan_genr_noise:
            raise UserError(
                "--wavegan_genr_noise_relative needs --wavegan_genr_noise. Received: --nowavegan_genr_noise; leave "
                "out both or none (--nowavegan_genr_noise_relative)."
            )

    @property
    def post_filter_len(self):
        """Taps of the post-filter, 0 for none."""
        return self.wavegan_genr_pp_len if self.wavegan_genr_pp else 0

    @property
    def slice_s(self):
        """Seconds of a slice."""
        return self.data_slice_len / self.data_sample_rate

    @property
    def batches_per_step(self):
        """Batches of recordings that a step takes: one a discriminator update, and one to compare textures with."""
        return self.wavegan_disc_nupdates + (self.wavegan_genr_texture > 0)

    def to_json(self):
        """Returns the text of config.json."""
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"

    @classmethod
    def from_json(cls, text):
        """Reads the text of a config.json.

        Args:
            text: String.

        Returns:
            `Config`; a setting that the text lacks has its default.

        Raises:
            UserError: The text is not JSON, names an unknown setting, or a value breaks a rule.
        """
        try:
            values = json.loads(text)
        except ValueError as error:
            raise UserError(f"not valid JSON: {error}") from error
        if not isinstance(values, dict):
            raise UserError("not a JSON object of settings")
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(values) - known):
            raise UserError(f"unknown setting {unknown[0]}; it was written by another version")
        return cls(**values)


_TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


def _kind_of_type(field):
    """Returns the type of a field and whether None is allowed."""
    options = typing.get_args(field.type) or (field.type,)
    return options[0], type(None) in options


def _rule(field):
    """Says the rule of a field in words, or an empty string."""
    metadata = field.metadata
    if metadata["choices"]:
        return "one of " + ", ".join(map(str, metadata["choices"]))
    words = {"at_least": "at least", "at_most": "at most", "below": "below"}
    return ", ".join(f"{word} {metadata[key]}" for key, word in words.items() if metadata[key] is not None)


def _check(field, value):
    """Returns the value in its field's type, or raises UserError."""
    kind, optional = _kind_of_type(field)
    if value is None and optional:
        return None
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind is float and not math.isfinite(value)):
        raise UserError(f"--{field.name} must be {_TYPE_WORDS[kind]}. Received: {value!r}.")
    metadata = field.metadata
    if (
        (metadata["choices"] and value not in metadata["choices"])
        or (metadata["at_least"] is not None and value < metadata["at_least"])
        or (metadata["at_most"] is not None and value > metadata["at_most"])
        or (metadata["below"] is not None and value >= metadata["below"])
    ):
        raise UserError(f"--{field.name} must be {_rule(field)}. Received: {value!r}.")
    return value


def define_flags(names=None):
    """Defines one absl flag for every setting, or for those named, as key flags of the main script."""
    define = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool, str: flags.DEFINE_string}
    for field in dataclasses.fields(Config):
        if names and field.name not in names:
            continue
        kind, _ = _kind_of_type(field)
        rule = _rule(field)
        text = field.metadata["text"] + (f" ({rule})" if rule else "")
        cli.define_flag(define[kind], field.name, field.default, text)


def given_flags():
    """Returns the settings named on the command line, as a dict of name to value."""
    defined = [f.name for f in dataclasses.fields(Config) if f.name in flags.FLAGS]
    return {name: flags.FLAGS[name].value for name in defined if flags.FLAGS[name].present}


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
    fields = dataclasses.fields(Config)
    defaults = {field.name: field.default for field in fields if field.metadata["kind"] == "run"}
    for field in fields:
        if field.name not in given or field.metadata["kind"] not in fixed_kinds:
            continue
        old, new = getattr(stored, field.name), _check(field, given[field.name])
        if old != new:
            raise UserError(
                f"--{field.name} cannot change in a TRAIN_DIR that has begun: stored {old!r}, received {new!r}. "
                "Leave the flag out to go on, or begin a new TRAIN_DIR (--train_init_from takes over the weights)."
            )
    return dataclasses.replace(stored, **defaults | given)


def model_settings(config):
    """Returns the settings of kind model, as a dict of name to value."""
    return {f.name: getattr(config, f.name) for f in dataclasses.fields(Config) if f.metadata["kind"] == "model"}


def flag_table(kind):
    """Returns the rows of the flags of a kind for docs/flags.md, a list of Markdown lines."""
    rows = []
    for field in dataclasses.fields(Config):
        if field.metadata["kind"] == kind:
            default = "" if field.default in ("", None) else f"`{field.default}`"
            rows.append(f"| `--{field.name}` | {default} | {_rule(field)} | {field.metadata['text']} |")
    return rows
