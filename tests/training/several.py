"""What each of several processes of the tests runs: a module, since torchrun starts it.

Usage: python -m tests.training.several WAY FOLDER SETTINGS [FOLDER SETTINGS ...], the settings as JSON; one training
after the other. Beside torchrun there is no launch code but this, which tests of failing workers need: in the way
"dies" the second process is killed at step 6 of every start but the last, in "is killed" of each.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from torch.distributed.elastic.multiprocessing.errors import record

from s2f.settings import Gan, Sampler
from s2f.training import gan, processes
from tests.training.small import learn_sampler, run

TRAIN = {"sampler": (learn_sampler, Sampler)}


@record
def main(way, *trainings):
    attempt, rank = int(os.environ["TORCHELASTIC_RESTART_COUNT"]), int(os.environ["RANK"])
    (Path(trainings[0]) / f"start_{attempt}_{rank}").write_text(str(os.getpid()))
    (Path(trainings[0]) / f"port_{attempt}_{rank}").write_text(os.environ["MASTER_PORT"])
    if way == "fails":
        raise ValueError("a value that is wrong every time")
    iterate = gan.Trainer.iterate

    def mortal(self, **arguments):
        dies = way == "dies" and attempt < processes.N_RESTARTS and (rank, self.step) == (1, 6)
        if dies or (way, rank) == ("is killed", 1):
            os.kill(os.getpid(), signal.SIGKILL)
        return iterate(self, **arguments)

    gan.Trainer.iterate = mortal
    processes.TIMEOUT_S = 60
    with processes.joined(device="cpu") as peers:
        torch.set_num_threads(1)
        train, kind = TRAIN.get(way, (run, Gan))
        key = "k1" if (way, rank) == ("differ", 1) else "k"
        for folder, settings in zip(trainings[::2], trainings[1::2], strict=True):
            train(Path(folder), settings=kind(**json.loads(settings)), peers=peers, key=key)


if __name__ == "__main__":
    main(*sys.argv[1:])
