"""What each of several processes of the tests runs: a module, since torchrun starts it.

Usage: python -m tests.training.several WAY FOLDER SETTINGS, the settings as JSON. Beside torchrun there is no
launch code but this, which a test of a dying worker needs: in the way "dies" the second process is killed at step 6
        train, kind = TRAIN.get(way, (run, Gan))
        key = "k1" if (way, rank) == ("differ", 1) else "k"
        train(Path(folder), settings=kind(**json.loads(settings)), peers=peers, key=key)
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing.errors import record

from s2f.settings import Code, Gan, Sampler
from s2f.training import gan, processes
from tests.training.small import learn_code, learn_sampler, run

TRAIN = {"code": (learn_code, Code), "sampler": (learn_sampler, Sampler)}


@record
def main(way, folder, settings):
    if way == "fails":
        raise ValueError("a value that is wrong every time")
    attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
    (Path(folder) / f"start_{attempt}_{rank}").write_text(str(os.getpid()))
    iterate = gan.Trainer.iterate

    def mortal(self, **arguments):
        if (way, attempt, rank, self.step) == ("dies", 0, 1, 6) or (way, rank) == ("is killed", 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return iterate(self, **arguments)

    gan.Trainer.iterate = mortal
    processes.TIMEOUT_S = 60
    with processes.joined(device="cpu") as peers:
        torch.set_num_threads(1)
        train, kind = TRAIN.get(way, (run, Gan))
        key = "k1" if (way, rank) == ("differ", 1) else "k"
        train(Path(folder), settings=kind(**json.loads(settings)), peers=peers, key=key)


if __name__ == "__main__":
    main(*sys.argv[1:])
