"""Trains a classifier of labelled recordings, which the inception score needs."""

from wavegan_asmr.command_line.main import run_script

if __name__ == "__main__":
    run_script("classify")
