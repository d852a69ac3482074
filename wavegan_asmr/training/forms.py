"""The forms of convolutions that are fastest on this machine, found by trying; see `networks.polyphase`."""

import contextlib
import dataclasses
import functools
import json
import time

import tensorflow as tf

from wavegan_asmr import storage, words
from wavegan_asmr.errors import UserError
from wavegan_asmr.networks import polyphase
from wavegan_asmr.training import timing

NAME = "forms.json"
_MARGIN = 0.95
"""What is not this much faster than the table's form is not worth another rounding."""


@dataclasses.dataclass(frozen=True)
class StoredForms:
    """What forms.json says.

    Attributes:
        processor: String, on which they were timed.
        tensorflow: String, version.
        forms: Dict of a shape in words to one of `polyphase.FORMS`.
    """

    processor: str
    tensorflow: str
    forms: dict[str, str]


def settle_forms(trainer, batches, train_dir, writes=True):
    """Prepares a trainer with the forms that are fastest on this machine, and says which they are.

    Those of an earlier start on the same machine are taken again, so that resuming is exact. GPUs have a table of their
    own.

    Args:
        trainer: `Trainer`.
        batches: See `Trainer.iterate`.
        train_dir: `TrainDir`, which keeps them in forms.json.
        writes: Boolean, whether it does.

    Returns:
        Dict of a shape in words to its form; empty where the table has all.

    Raises:
        UserError: forms.json is damaged.
    """
    if trainer.config.train_forms == "table" or polyphase.has_gpu():
        trainer.prepare(batches)
        return {}
    machine = {"processor": timing.processor(), "tensorflow": tf.__version__}
    stored = _read(train_dir.join(NAME), machine)
    with contextlib.ExitStack() as locks:
        chosen = TimedForms(stored, locks)
        with polyphase.choosing(chosen):
            trainer.prepare(batches)
    if chosen.seconds:
        print(
            f"forms     {chosen.others} of {len(chosen.forms)} convolutions have another form than the table's; "
            f"timing took {chosen.seconds:.0f} s",
            flush=True,
        )
        if writes:
            storage.write_text(train_dir.join(NAME), json.dumps(machine | {"forms": chosen.forms}, indent=2) + "\n")
    return chosen.forms


def _read(path, machine):
    """The forms in a file, none where they are of another machine."""
    try:
        stored = storage.read_json(path, StoredForms)
    except FileNotFoundError:
        return {}
    except (OSError, UserError) as error:
        raise UserError(
            f"{words.printable(path)}: {words.reason(error)}; delete it to have them timed again."
        ) from error
    wrong = {
        name: form for name, form in stored.forms.items() if form not in polyphase.FORMS.get(name.partition(" ")[0], ())
    }
    if wrong:
        name, form = next(iter(wrong.items()))
        raise UserError(f"{words.printable(path)}: {name!r} has no form {form!r}; delete it to have them timed again.")
    here = StoredForms(forms=stored.forms, **machine)
    if stored == here:
        return stored.forms
    print(f"forms     were timed on {stored.processor}, TensorFlow {stored.tensorflow}; they are timed again")
    return {}


class TimedForms:
    """A function for `polyphase.choosing`: times the forms of a shape when it first comes up.

    Shapes of any batch size take the table's form.

    Args:
        stored: Dict of a shape in words to its form, of earlier timings.
        locks: `contextlib.ExitStack` that holds the lock of all timings.

    Attributes:
        forms: Dict like `stored`, of all that came up.
        others: Integer, how many of them are not the table's.
        seconds: Float, what timing took.
    """

    def __init__(self, stored, locks):
        self._stored, self._locks = stored, locks
        self.forms, self.others, self.seconds = {}, 0, 0.0

    def __call__(self, shape):
        usual = polyphase.choose_form(shape)
        if shape.batch is None:
            return usual
        name = in_words(shape)
        if name not in self.forms:
            self.forms[name] = self._stored.get(name) or self._time(shape, usual)
            self.others += self.forms[name] != usual
        return self.forms[name]

    def _time(self, shape, usual):
        if not self.seconds:
            self._locks.enter_context(timing.alone())
            print("forms     timing the convolutions ...", flush=True)
        start_s = time.perf_counter()
        forms = polyphase.FORMS[shape.operation]
        # What asks is being traced; what is timed is not to become a part of it.
        with tf.init_scope():
            found = timing.fastest_of({form: _make_run(shape, form) for form in forms})
        fastest = min(found, key=found.get)
        self.seconds += time.perf_counter() - start_s
        return fastest if found[fastest] < _MARGIN * found[usual] else usual


def in_words(shape):
    """Returns a `polyphase.Shape` as text."""
    x, y = f"{shape.positions * shape.stride}x{shape.channels}", f"{shape.positions}x{shape.channels_out}"
    taps = f"{shape.kernel_len} taps, stride {shape.stride}"
    return f"{shape.operation} of {shape.batch} {x} and {y}, {taps}, {shape.dtype}"


def _make_run(shape, form):
    """A function that computes a map of a shape in a form, and waits for it."""
    random = tf.random.Generator.from_seed(0)

    def draw(*dimensions):
        return tf.cast(random.normal(dimensions), shape.dtype)

    x = draw(shape.batch, shape.positions * shape.stride, shape.channels)
    y = draw(shape.batch, shape.positions, shape.channels_out)
    kernel = draw(shape.kernel_len, shape.channels, shape.channels_out)
    compute, arguments = {
        "strided_conv": (polyphase.strided_conv, (x, kernel)),
        "transposed_conv": (polyphase.transposed_conv, (y, kernel)),
        "kernel_gradient": (functools.partial(polyphase.kernel_gradient, kernel_len=shape.kernel_len), (x, y)),
    }[shape.operation]
    with polyphase.choosing(lambda _: form):
        graph = tf.function(functools.partial(compute, stride=shape.stride)).get_concrete_function(*arguments)
    return lambda: graph(*arguments)[0, 0].numpy()
