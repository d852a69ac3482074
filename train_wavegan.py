"""Trains a WaveGAN: train, preview, incept, infer, import."""

from wavegan_asmr.command_line.main import run_script

if __name__ == "__main__":
    run_script("train", "preview", "incept", "infer", "import", takes_verb=True)
