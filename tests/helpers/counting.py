"""A training that leaves a file for each call, so that other processes can be counted too."""

import os
import signal
import time
import uuid
from pathlib import Path

from sklearn_dbn import RBMTransformer

FOLDER = "SKLEARN_DBN_COUNTED"


class CountedRBM(RBMTransformer):
    """An RBM that leaves a file for each training of its own."""

    def _fit_rows(self, *args, **kwargs):
        Path(os.environ[FOLDER], uuid.uuid4().hex).touch()
        return super()._fit_rows(*args, **kwargs)


def fit_stack(cache, X):
    """Train a stack with ``cache``, in the process that calls this."""
    from sklearn_dbn import DBNTransformer

    rbm = CountedRBM(n_iter=20)
    return DBNTransformer((6, 5), rbm=rbm, memory=cache, random_state=0).fit(X).transform(X)


class SlowRBM(CountedRBM):
    """An RBM whose training takes half a second, so that another process has to wait for it."""

    def _fit_rows(self, *args, **kwargs):
        made = super()._fit_rows(*args, **kwargs)
        time.sleep(0.5)
        return made


def fit_together(cache, X, meeting, n_processes):
    """Train a slow stack once ``n_processes`` have come to the folder ``meeting``."""
    from sklearn_dbn import DBNTransformer

    Path(meeting, uuid.uuid4().hex).touch()
    deadline = time.monotonic() + 60
    while len(os.listdir(meeting)) < n_processes:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    rbm = SlowRBM(n_iter=2)
    return DBNTransformer((6, 5), rbm=rbm, memory=cache, random_state=0).fit(X).transform(X)


class KillsItsWorker(CountedRBM):
    """An RBM that kills its process in its third small training, if the file "fuse" exists."""

    def _fit_rows(self, *args, **kwargs):
        made = super()._fit_rows(*args, **kwargs)
        folder = Path(os.environ[FOLDER])
        if self.n_components == 5:
            n_before = len(list(folder.parent.glob("small*")))
            Path(folder.parent, f"small {uuid.uuid4().hex}").touch()
            fuse = folder.parent / "fuse"
            if n_before >= 2 and fuse.exists():
                fuse.unlink()
                os.kill(os.getpid(), signal.SIGKILL)
        return made
