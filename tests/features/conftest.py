"""What several test files of this folder are given."""

import numpy as np
import pytest

from s2f.features import front_end, pack
from tests.features.making import contents, make_corpus
from tests.golden import front_end as reference


@pytest.fixture(scope="module")
def samples():
    return reference.recording()


@pytest.fixture(scope="module")
def wave(samples):
    return (samples / 32_768).astype(np.float32)


# Processed recordings and lengths


@pytest.fixture(scope="module")
def frames(wave):
    return front_end.normalise(front_end.log_mel(front_end.voiced(wave)))  # [T, 64]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("corpus")
    return root, make_corpus(root)


@pytest.fixture(scope="module")
def built(corpus, tmp_path_factory):
    root, table = corpus
    folder = tmp_path_factory.mktemp("built") / "store"
    pack.build(table, folder, root=root, progress=False)
    return folder


@pytest.fixture
def copied(built, tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    for name, content in contents(built).items():
        (folder / name).write_bytes(content)
    return folder
