"""The wheel holds the package and the two modules of the original, and works in an environment of its own."""

import os
import pathlib
import shutil
import site
import subprocess
import sys
import zipfile

import pytest
from conftest import ROOT, TINY


def run(*arguments, **options):
    process = subprocess.run(
        [str(each) for each in arguments], capture_output=True, text=True, timeout=600, check=False, **options
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel built from a clean copy: a stale build/ would add modules of earlier versions."""
    folder = tmp_path_factory.mktemp("wheel")
    copy = folder / "copy"
    copy.mkdir()
    for path in ROOT.iterdir():
        if path.suffix == ".py" or path.name in ("README.md", "LICENSE", "pyproject.toml"):
            shutil.copy(path, copy)
    # A clone's models stay there.
    (copy / "models" / "rain").mkdir(parents=True)
    for name in ("config.json", "generator.safetensors"):
        (copy / "models" / "rain" / name).write_text("{}")
    shutil.copytree(ROOT / "wavegan_asmr", copy / "wavegan_asmr", ignore=shutil.ignore_patterns("__pycache__"))
    # The test environment has setuptools; none is downloaded.
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, copy)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel, tmp_path_factory):
    """A virtual environment with the wheel, which sees the packages of this one but not its editable install."""
    folder = tmp_path_factory.mktemp("environment") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    (packages,) = folder.glob("lib/python*/site-packages")
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", "--target", packages, wheel)
    # A path in a .pth is searched, while the .pth files there, of editable installs, are not followed.
    (packages / "tested.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return folder


def test_it_holds_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
    tops = {pathlib.PurePath(name).parts[0] for name in names if ".dist-info" not in name}
    assert tops == {"wavegan_asmr", "wavegan.py", "loader.py"}
    held = {name for name in names if name.startswith("wavegan_asmr/")}
    there = {str(path.relative_to(ROOT)) for path in (ROOT / "wavegan_asmr").rglob("*") if path.is_file()}
    assert held == {name for name in there if "__pycache__" not in name}


def test_it_checks_and_trains_from_anywhere(environment, recordings, tmp_path):
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    python, wavegan = environment / "bin" / "python", environment / "bin" / "wavegan"
    if not wavegan.exists():
        # `pip --target` puts scripts beside the packages.
        (installed,) = environment.glob("lib/python*/site-packages/bin/wavegan")
        installed.write_text(f"#!{python}\n" + installed.read_text().split("\n", 1)[1])
        wavegan = installed
    where = run(python, "-c", "import wavegan_asmr, loader; print(wavegan_asmr.__file__, loader.__file__)",
                cwd=tmp_path, env=clean)  # fmt: skip
    assert where.count(str(environment)) == 2 and str(ROOT) not in where
    without = run(wavegan, "models", cwd=tmp_path, env=clean)
    assert "no models come with this installation; fetch one, wavegan pull https://... ./NAME" in without
    table = run(wavegan, "check", recordings, cwd=tmp_path, env=clean)
    assert "recordings       2, 7.0 s" in table
    printed = run(
        wavegan, "train", "train", "--data_dir", recordings, *TINY, "--train_max_steps=1", cwd=tmp_path, env=clean
    )
    assert "done      step 1" in printed
