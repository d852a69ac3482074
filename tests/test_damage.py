"""A TRAIN_DIR whose files were damaged ends in one line that names the file, or in what it would have been."""

import pytest
from conftest import ROOT
from damage import damage_bytes, damage_json

from wavegan_asmr.errors import UserError
from wavegan_asmr.families import family_of
from wavegan_asmr.families.generators import fixed_inputs
from wavegan_asmr.sound import files, wav
from wavegan_asmr.train_dir import TrainDir

GOLDEN = ROOT / "tests" / "golden" / "asmr"
CONFIG = (GOLDEN / "config.json").read_text()


@pytest.fixture
def train_dir(tmp_path):
    (tmp_path / "preview").mkdir()
    (tmp_path / "config.json").write_text(CONFIG)
    return TrainDir(tmp_path)


def one_line(error, name):
    """Whether an error is one line of a bearable length that names a file."""
    text = str(error)
    return "\n" not in text and len(text) < 700 and name in text


@pytest.mark.parametrize("block", range(4))
def test_config(train_dir, tmp_path, block):
    refused = 0
    for seed in range(100 * block, 100 * block + 100):
        (tmp_path / "config.json").write_text(damage_json(CONFIG, seed), "utf-8", "surrogateescape")
        try:
            config = train_dir.read_config()
        except UserError as error:
            assert one_line(error, "config.json"), seed
            refused += 1
            continue
        try:
            family = family_of(config)
            family.check_memory(config, is_training=True)
            family.settle(config, {})
        except UserError as error:
            assert one_line(error, ""), seed
    assert 30 < refused < 100


def test_fixed_inputs(train_dir, tmp_path):
    whole, refused = (GOLDEN / "preview" / "z.npy").read_bytes(), 0
    for seed in range(200):
        (tmp_path / "preview" / "z.npy").write_bytes(damage_bytes(whole, seed))
        try:
            assert fixed_inputs(train_dir, 4).shape == (4, 100)
        except UserError as error:
            assert one_line(error, "z.npy"), seed
            refused += 1
    assert refused > 50


def test_real_clips(tmp_path, noise):
    path = tmp_path / "real.wav"
    wav.write_clips(path, noise(1)[:8192].reshape(2, 4096, 1), 16000)
    whole, refused = path.read_bytes(), 0
    for seed in range(200):
        path.write_bytes(damage_bytes(whole, seed))
        try:
            clips = wav.read_clips(path, 4096)
            assert len(clips) >= 1 and clips.shape[1] == 4096
        except files.AudioError as error:
            assert one_line(error, "")
            refused += 1
    assert refused > 50


def test_best(train_dir, tmp_path):
    (tmp_path / "best").mkdir()
    for end in ("index", "data-00000-of-00001"):
        (tmp_path / "best" / f"ckpt-20.{end}").touch()
    whole, refused = (GOLDEN / "best" / "best.json").read_text(), 0
    for seed in range(100):
        (tmp_path / "best" / "best.json").write_text(damage_json(whole, seed), "utf-8", "surrogateescape")
        try:
            best = train_dir.read_best()
            assert best is None or best.step == 20
        except UserError as error:
            assert one_line(error, "best.json"), seed
            refused += 1
    assert refused > 20
