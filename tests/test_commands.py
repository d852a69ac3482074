"""The command lines of the README, as a user types them."""

from conftest import TINY


def test_train_preview_resume(command, recordings, tmp_path):
    train_dir = tmp_path / "train"
    command("train_wavegan.py", "train", train_dir, "--data_dir", recordings, *TINY, "--train_max_steps=3")
    output = command("preview.py", train_dir).stdout
    assert "step 3" in output
    output = command("train_wavegan.py", "train", train_dir, "--train_max_steps=5").stdout
    assert "resuming  step 3" in output and "step 5" in output
