"""Measures how good trained models are."""

from wavegan_asmr.command_line.main import run_script

if __name__ == "__main__":
    run_script("evaluate")
