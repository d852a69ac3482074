"""`wavegan classify`."""

from wavegan_asmr.classification.settings import LabelSettings
from wavegan_asmr.command_line import run
from wavegan_asmr.config import Config
from wavegan_asmr.errors import UserError
from wavegan_asmr.settings import absolute_paths

USAGE = """A classifier of sounds, for the inception score (wavegan incept).

    wavegan classify train FOLDER --data_dir LABELLED
        labels are the names of the folders in LABELLED
    wavegan classify train FOLDER --data_dir LABELLED --data_labels '^(\\d)_'
        labels are what the group finds in the names of the files
"""

_READ = (
    "data_dir data_sample_rate data_slice_len data_num_channels data_overlap_ratio data_first_slice data_pad_end "
    "data_normalize data_fast_wav data_min_level_db data_labels data_cache_dir train_seed train_max_secs"
).split()

SETTINGS = ((Config, tuple(_READ)), LabelSettings)


def main(arguments, flags):
    if len(arguments) != 2 or arguments[0] != "train":
        received = " ".join(arguments)
        raise UserError(f"needed: classify train FOLDER --data_dir LABELLED. Received: {received!r}.")
    config, settings = Config(**absolute_paths(Config, flags.given(Config))), flags.read(LabelSettings)
    if not config.data_dir:
        raise UserError("--data_dir is missing: a folder of labelled recordings, such as --data_dir digits/")
    from wavegan_asmr.classification import labelling

    labelled = labelling.open_labelled(config, settings, show_progress=True)
    run.start_tensorflow()
    from wavegan_asmr.classification import classifier

    classifier.train(arguments[1], config, labelled)
