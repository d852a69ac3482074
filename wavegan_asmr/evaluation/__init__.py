"""TRAIN_DIR and recordings -> how good it is: metrics, verdicts, the best checkpoint, the report."""
