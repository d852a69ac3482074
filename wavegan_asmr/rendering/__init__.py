"""TRAIN_DIR -> sound: the finished file of `generate`, the clips and pictures of `preview`."""
