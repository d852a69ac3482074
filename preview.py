"""Renders sounds and pictures of a training's checkpoints."""

from wavegan_asmr.command_line.main import run_script

if __name__ == "__main__":
    run_script("preview")
