"""The models that the LLMs of this process have loaded; LLMs with the same load key and weights share one."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass, field
from functools import partial

from hforch.backends.base import LoadedModel, check_and_prepare, load_prepared
from hforch.backends.load_key import load_key
from hforch.config.schema import Job
from hforch.generation.lease import Lease
from hforch.machine import accelerators
from hforch.utils.progress import Progress

Key = tuple[int, str, str]


@dataclass
class SharedModel:
    """A model and the number of leases on it.

    Attributes:
        loading: held while the model is loaded, so that other threads wait for it.
    """

    loaded: LoadedModel | None = None
    leases: int = 0
    loading: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_usable(self) -> bool:
        """Whether the model is still to be loaded, or is loaded and open."""
        return self.loaded is None or not self.loaded.engine.is_closed


_models: dict[Key, SharedModel] = {}
_LOCK = threading.RLock()  # reentrant, since garbage collection may end a lease in the thread that holds it


def lease_model(job: Job, progress: Progress) -> tuple[LoadedModel, Lease]:
    """Return a job's model with a lease on it; load it unless an LLM of this process has loaded it.

    The model is freed when its last lease is closed or collected. Threads that need the same model load it once.

    Raises:
        ConfigError: this machine cannot run the job.
        ModelError: the weights are missing or unusable, or cannot be downloaded.
        BackendError: the backend cannot load the model.
    """
    prepared = check_and_prepare(job, progress)
    weights = json.dumps(prepared.record, sort_keys=True, default=str)  # contains the fingerprint
    key = (os.getpid(), load_key(job), weights)  # a forked process cannot use the models of its parent
    with _LOCK:
        shared = _models.get(key)
        if shared is None or not shared.is_usable:
            shared = _models[key] = SharedModel()
        shared.leases += 1
    lease = Lease(partial(_release, key, shared))
    try:
        with shared.loading:
            if shared.loaded is None:
                shared.loaded = load_prepared(job, prepared, progress)
            return shared.loaded, lease
    except BaseException:
        lease.close()
        raise


def _release(key: Key, shared: SharedModel) -> None:
    with _LOCK:
        shared.leases -= 1
        if shared.leases:
            return
        if _models.get(key) is shared:
            del _models[key]
        loaded, shared.loaded = shared.loaded, None
    if loaded is not None and os.getpid() == key[0]:
        loaded.free()
        del loaded
        accelerators.release()
