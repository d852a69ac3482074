"""Copies the newest checkpoint of a training to a safe place, again and again."""

from wavegan_asmr.command_line.main import run_script

if __name__ == "__main__":
    run_script("backup")
