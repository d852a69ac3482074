"""A configuration of webMUSHRA, the web page of the AudioLabs Erlangen for tests by ITU-R BS.1534."""

import json
import re

REFERENCE = "recording"
"""The sound that is the reference, hidden and open: webMUSHRA has no such page without one."""

_HEAD = """testname: Listening test
testId: "{test}"
bufferSize: 2048
stopOnErrors: true
showButtonPreviousPage: false
remoteService: service/write.php
pages:
  -
    - random
"""
_TRIAL = """    - type: mushra
      id: trial{number}
      name: Listening test
      content: How natural is each sound? The reference is a recording of the same kind, of another moment.
      showWaveform: false
      enableLooping: true
      strict: false
      reference: {reference}
      createAnchor35: true
      createAnchor70: true
      stimuli:
"""
_END = """  - type: finish
    name: Thank you
    content: Thank you for listening.
    showResults: true
    writeResults: true
"""


def build(test, names, trials):
    """Returns the configuration, a YAML text; its paths are those of the clips copied into configs/ of webMUSHRA.

    Args:
        test: String, what tells it from others.
        names: List of strings, of the sounds, `REFERENCE` among them.
        trials: List of `making.Trial`.
    """
    text = _HEAD.format(test=test)
    for number, trial in enumerate(trials, 1):
        clips = dict(zip(trial.sounds, trial.clips))
        if len(clips) < len(names):
            # The control: webMUSHRA's own is the hidden reference.
            continue
        paths = {names[sound]: f"configs/clips/{clip}.wav" for sound, clip in sorted(clips.items())}
        text += _TRIAL.format(number=number, reference=paths.pop(REFERENCE))
        # It puts names into its markup as they are.
        keys = (f"{names.index(name) + 1}-{re.sub(r'[^A-Za-z0-9_.-]', '_', name)}" for name in paths)
        text += "".join(f"        {json.dumps(key)}: {path}\n" for key, path in zip(keys, paths.values()))
    return text + _END
