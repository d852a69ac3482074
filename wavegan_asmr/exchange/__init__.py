"""What leaves or enters a TRAIN_DIR: SavedModel, backups, trainings of the reference implementation."""
