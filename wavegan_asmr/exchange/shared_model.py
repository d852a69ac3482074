"""A model to share: a folder with a generator, its settings, a card, and what it sounds and looks like.

    config.json              the settings, without the paths of this machine
    generator.safetensors    the weights, the averaged ones where there are
    README.md                the card
    facts.json               what the card says of its training and of its recordings, for programs
    seed-0.flac, ...         sounds
    spectrograms.png         a picture of them

Whatever takes a TRAIN_DIR to generate takes such a folder.
"""

import dataclasses
import os

import numpy as np
import soundfile

from wavegan_asmr import output_place, storage, words
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.exchange import model_card
from wavegan_asmr.exchange.model_facts import Facts
from wavegan_asmr.families import generator_file
from wavegan_asmr.families.generators import Generator
from wavegan_asmr.sound import plots, wav
from wavegan_asmr.train_dir import SHARED, TrainDir

_CLIPS, _CLIPS_SLOW = 4, 1
"""Clips of a sound; of slow families the second."""
_PICTURE = "spectrograms.png"
_MOST_FLAC_CHANNELS = 8


def share(path, folder, checkpoint=None, dtype="float32", license_="", overwrite=False, find_facts=None, sounds=3):
    """Makes a model to share.

    Args:
        path: Path-like, TRAIN_DIR.
        folder: Path-like, the folder to make.
        checkpoint: See `families.generators.Generator`.
        dtype: String, one of `generator_file.DTYPES`, of the weights in the file.
        license_: String, an identifier such as "cc-by-4.0", or "" for not stated.
        overwrite: Boolean, whether a shared model may be replaced.
        find_facts: Function of a step to `Facts`, without sources and licence, or None where nothing is known.
        sounds: Integer, how many sounds are made for the card.

    Returns:
        String, the folder written.

    Raises:
        UserError: There is no checkpoint, a file is in the way, or the folder cannot be written.
    """
    license_ = model_card.check_license(license_)
    final = os.path.abspath(folder)
    output_place.check_folder(final, "FOLDER", "a shared model", lambda path: TrainDir(path).is_shared, overwrite)
    train_dir = TrainDir(path)
    train_dir.refuse_shared()
    generator = Generator(train_dir, checkpoint)
    generator_file.round_weights(generator.network, dtype)
    facts = dataclasses.replace(
        find_facts(generator.step) if find_facts else Facts(),
        license=license_,
        sources=model_card.read_sources(generator.config.data_dir),
    )
    try:
        os.makedirs(os.path.dirname(final), exist_ok=True)
        with storage.replace_folder(final) as new:
            names = _write_sounds(generator, new, sounds)
            storage.write_text(os.path.join(new, "config.json"), without_paths(generator.config).to_json())
            generator_file.write(os.path.join(new, SHARED), generator.network, generator.step, generator.digest, dtype)
            facts.write(new)
            card = model_card.write(generator, os.path.basename(final), dtype, facts, names, _PICTURE)
            storage.write_text(os.path.join(new, "README.md"), card)
    except OSError as error:
        raise UserError(f"cannot write {final!r}: {words.reason(error)}.") from error
    print(f"step {generator.step}: {words.printable(final)}")
    if not facts.sources:
        print(f"sources   not stated; write them into a file {model_card.SOURCES} beside the recordings")
    if not facts.metrics:
        print(f"metrics   not measured at this step; to have them: wavegan evaluate {words.shell(train_dir.path)}")
    return final


def without_paths(config):
    """Returns a `Config` without paths: they say nothing elsewhere, and something of the machine here."""
    paths = {field.name: "" for field in dataclasses.fields(Config) if field.metadata["is_path"]}
    return dataclasses.replace(config, **paths)


def _write_sounds(generator, folder, count):
    """Writes sounds of so many seeds and a picture of them; returns the names of the sounds."""
    rate_hz, n = generator.config.data_sample_rate, _CLIPS_SLOW if generator.family.is_slow else _CLIPS
    names, rows = [], []
    for seed in range(count):
        clips = generator.generate(generator.draw(np.random.default_rng(seed), n))
        if not np.isfinite(clips).all():
            raise UserError("the generator makes samples that are not numbers: its training has diverged.")
        form = "flac" if clips.shape[2] <= _MOST_FLAC_CHANNELS else "wav"
        names.append(f"seed-{seed}.{form}")
        with storage.replacing(os.path.join(folder, names[-1])) as file:
            soundfile.write(file, wav.to_int16(wav.in_a_row(clips, rate_hz)), rate_hz, format=form)
        rows.append((f"seed {seed}", clips))
    with storage.replacing(os.path.join(folder, _PICTURE)) as file:
        file.write(plots.png(plots.grid(rows, rate_hz, f"step {generator.step}"), has_palette=True))
    return names
