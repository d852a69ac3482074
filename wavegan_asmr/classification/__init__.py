"""Labelled recordings -> a classifier, and with it the inception score."""
