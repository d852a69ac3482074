"""Recordings -> TRAIN_DIR: settling the settings, the loop, precision, early stopping, what was learned from."""
