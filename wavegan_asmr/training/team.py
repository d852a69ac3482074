"""One training on several machines, the workers: what they must know of each other.

The first worker is the chief: it settles everything, has the TRAIN_DIR, shows and writes. The others take its settings
and its weights, read their own share of each batch, and end when it ends. TF_CONFIG names them, as `tf.distribute` has
it.
"""

import contextlib
import json
import os
import socket
import time

import numpy as np
import tensorflow as tf

from wavegan_asmr.errors import UserError

_TOLD_BYTES = 1 << 16
"""Room for what the chief tells."""
_POLL_S, _CONNECT_S = 0.5, 2.0
_PATIENT_S = 10.0
"""After which it is said for whom is waited."""
_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.FailedPreconditionError,
    tf.errors.InternalError,
)
"""What TensorFlow raises when another worker is gone."""


class Team:
    """The workers of a training; of one on a single machine there is one.

    Attributes:
        count: Integer, workers.
        is_chief: Boolean, whether this process is the one that writes.
        strategy: `tf.distribute.Strategy`, once they have met.

    Raises:
        UserError: TF_CONFIG is not valid.
    """

    def __init__(self):
        self._workers, self._index = _read_tf_config()
        self.count, self.is_chief = max(1, len(self._workers)), self._index == 0
        self.strategy = None

    def meet(self, wait_s):
        """Waits for the others, before the first operation of TensorFlow.

        Args:
            wait_s: Float, seconds.

        Raises:
            UserError: A worker is missing, or the port of this one is taken.
        """
        if self.count == 1:
            self.strategy = choose_strategy()
            return
        _wait_for(self._workers, self._index, wait_s)
        self.strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def tell(self, message=None):
        """Has the chief tell the others something.

        Args:
            message: What JSON can say, of the chief.

        Returns:
            The chief's message, on all workers.
        """
        if self.count == 1:
            return message
        told = np.zeros(_TOLD_BYTES, np.int32)
        if self.is_chief:
            text = np.frombuffer(json.dumps(message).encode(), np.uint8)
            assert len(text) <= len(told), "no room to tell it"
            told[: len(text)] = text
        return json.loads(np.trim_zeros(self._sum(tf.constant(told)).numpy(), "b").astype(np.uint8).tobytes())

    def take_over(self, variables):
        """Sets variables of all workers to the values that the chief's have.

        Args:
            variables: Iterable of `tf.Variable`.
        """
        if self.count > 1:
            for variable in variables:
                value = tf.convert_to_tensor(variable)
                variable.assign(self._sum(value if self.is_chief else tf.zeros_like(value)))

    def any(self, flag):
        """Whether a flag is true on any worker: a decision of all, on which all must wait for each other."""
        return flag if self.count == 1 else bool(self._sum(tf.constant(int(flag))).numpy())

    @contextlib.contextmanager
    def together(self, place):
        """Context of what workers do together, in which the loss of one becomes a `UserError`.

        Args:
            place: String, of the training, for the message.
        """
        try:
            yield
        except _LOST as error:
            if self.count == 1:
                raise
            raise UserError(
                f"another worker was lost, and so worker {self._index} ends. Start the same commands again on all "
                f"machines: the training goes on from the newest checkpoint in {place}."
            ) from error

    @tf.function
    def _sum(self, value):
        """The sum of a tensor over all workers."""
        replicas = self.strategy.num_replicas_in_sync // self.count

        def bring():
            # Of each worker one replica does.
            replica = tf.distribute.get_replica_context().replica_id_in_sync_group % replicas
            return tf.where(replica == 0, value, tf.zeros_like(value))

        return self.strategy.reduce("SUM", self.strategy.run(bring), axis=None)


def choose_strategy():
    """Returns the `tf.distribute.Strategy` of this machine: all GPUs, the one GPU, or the CPU."""
    gpus = tf.config.list_physical_devices("GPU")
    if len(gpus) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.OneDeviceStrategy("/gpu:0" if gpus else "/cpu:0")


def _read_tf_config():
    """The addresses of the workers, none on a single machine, and the number of this one."""
    text = os.environ.get("TF_CONFIG")
    if not text:
        return [], 0
    try:
        config = json.loads(text)
        workers = config["cluster"]["worker"]
        index = config["task"]["index"]
        is_valid = config["task"]["type"] == "worker" and list(config["cluster"]) == ["worker"] and workers[index]
        is_valid = is_valid and all(map(_split, workers))
    except (ValueError, KeyError, TypeError, IndexError):
        is_valid = False
    if not is_valid:
        raise UserError(
            'TF_CONFIG must be as {"cluster": {"worker": ["HOST:PORT", ...]}, "task": {"type": "worker", "index": 0}}. '
            f"Received: {text!r}."
        )
    return (workers, index) if len(workers) > 1 else ([], 0)


def _split(address):
    """Host and port of an address."""
    host, _, port = address.rpartition(":")
    return host, int(port)


def _wait_for(workers, index, wait_s):
    """Waits until all other workers are there, seen by their ports: TensorFlow would wait for ever, and in silence."""
    try:
        server = socket.create_server(_split(workers[index]))
    except OSError as error:
        raise UserError(
            f"worker {index} cannot listen: {error.strerror.partition(' (')[0]}. Received: {workers[index]!r}."
        ) from error
    start_s, has_said = time.monotonic(), False
    with server:
        missing = [each for number, each in enumerate(workers) if number != index]
        while missing := [each for each in missing if not is_reachable(each)]:
            waited_s = time.monotonic() - start_s
            if waited_s > wait_s:
                raise UserError(
                    f"workers missing after {wait_s:g} s: {', '.join(missing)}. Start the same command there, with its "
                    "own --worker."
                )
            if waited_s > _PATIENT_S and not has_said:
                print(f"workers   waiting for {', '.join(missing)}", flush=True)
                has_said = True
            time.sleep(_POLL_S)


def is_reachable(address):
    """Returns whether something listens at an address, HOST:PORT."""
    try:
        socket.create_connection(_split(address), timeout=_CONNECT_S).close()
    except OSError:
        return False
    return True
