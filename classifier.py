"""Trains a classifier of labelled recordings, which the inception score needs."""

from absl import flags

import cli
import config
from errors import UserError

USAGE = """A classifier of sounds, for the inception score (train_wavegan.py incept).

    classifier.py train FOLDER --data_dir LABELLED
        labels are the names of the folders in LABELLED
    classifier.py train FOLDER --data_dir LABELLED --label_pattern '^(\\d)_'
        labels are what the group finds in the names of the files
"""

_SETTINGS = (
    "data_dir data_sample_rate data_slice_len data_num_channels data_overlap_ratio data_first_slice data_pad_end "
    "data_normalize data_fast_wav data_min_level_db data_cache_dir train_seed train_max_secs"
).split()

config.define_flags(_SETTINGS)
flags.DEFINE_string("label_pattern", "", "Regular expression with one group, the label in a file's name.")
flags.DEFINE_string("test_pattern", "", "Regular expression that finds something in the names of the test files only.")


def main(arguments):
    if len(arguments) != 2 or arguments[0] != "train":
        received = " ".join(arguments)
        raise UserError(f"needed: classifier.py train FOLDER --data_dir LABELLED. Received: {received!r}.")
    settings = config.Config(**config.given_flags())
    if not settings.data_dir:
        raise UserError("--data_dir is missing: a folder of labelled recordings, such as --data_dir digits/")
    import labelling

    labelled = labelling.open_labelled(
        settings, flags.FLAGS.label_pattern, flags.FLAGS.test_pattern, show_progress=True
    )
    cli.start_tensorflow()
    import classification

    classification.train(arguments[1], settings, labelled)


if __name__ == "__main__":
    cli.run(main, USAGE)
