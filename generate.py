"""Renders a finished sound file from one or more trained models."""

from wavegan_asmr.command_line.main import run_script

if __name__ == "__main__":
    run_script("generate")
