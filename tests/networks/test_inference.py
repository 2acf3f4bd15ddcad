"""A trained variant's model: kept, read back, and drawing from a recording."""

from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from s2f import tensors
from s2f.errors import AudioError, CheckpointError, ImageError
from s2f.features import front_end
from s2f.networks import inference
from s2f.networks.codes import Sampler, noise
from s2f.networks.models import Architecture
from s2f.report import sheets
from tests.features.making import vowel


def test_a_model_survives_saving(tmp_path):
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4")
    model = inference.Model(
        architecture.voice_embedding().eval(), architecture.generator().eval(), architecture, "test"
    )
    inference.save(tmp_path, model)
    back = inference.load(tmp_path)
    features = np.random.default_rng(0).normal(size=(1000, 64)).astype(np.float32)
    assert np.array_equal(model.embed(features), back.embed(features)) and back.name == "test"
    assert np.linalg.norm(back.embed(features)) == pytest.approx(1, abs=1e-5)


def test_a_processed_recording_gives_the_face_of_its_features(tmp_path):
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4")
    model = inference.Model(architecture.voice_embedding().eval(), architecture.generator().eval(), architecture, "t")
    frames = np.random.default_rng(0).normal(size=(300, 64))
    np.save(tmp_path / "clip.npy", frames)
    features = front_end.repeat(front_end.normalise(frames))
    expected = inference.draw(model.generator, torch.from_numpy(model.embed(features))[None])[0]
    assert np.array_equal(model.reconstruct(tmp_path / "clip.npy"), expected)
    wave, mask, log_mel = sheets.recording(tmp_path / "clip.npy")
    assert wave is None and mask is None and np.array_equal(log_mel, front_end.normalise(frames))


def test_processed_frames_are_no_sound_for_an_encoder_that_reads_sound(tmp_path):
    np.save(tmp_path / "clip.npy", np.random.default_rng(0).normal(size=(300, 64)))
    model = replace(small(), architecture=replace(small().architecture, encoder="ge2e"))
    with pytest.raises(AudioError, match=r"clip\.npy holds log-mel frames, and the voice embedding .* reads sound"):
        model.reconstruct(tmp_path / "clip.npy")


def test_a_generator_that_draws_no_numbers_draws_no_black_faces():
    generator = small().generator
    torch.nn.init.constant_(generator.model[0].weight, torch.nan)
    with pytest.raises(ImageError, match="hold NaN or infinite values"):
        inference.draw(generator, torch.ones(2, 64))


def small():
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4")
    return inference.Model(architecture.voice_embedding().eval(), architecture.generator().eval(), architecture, "t")


@pytest.mark.parametrize("n", [2_048, 2_049, 2_080, 5_000])
def test_a_long_recording_is_embedded_in_pieces(monkeypatch, n):
    model = small()
    features = np.random.default_rng(0).normal(size=(n, 64)).astype(np.float32)
    whole = model.embed(features)
    monkeypatch.setattr(inference, "PIECE", 1_024)
    np.testing.assert_allclose(model.embed(features), whole, atol=1e-5)


def test_what_was_heard_comes_with_the_features(tmp_path):
    model = small()
    wave = vowel(2.5, pitch_hz=130, rng=np.random.default_rng(0)).astype(np.float32)
    wave = np.pad(wave, (0, 16_000))
    soundfile.write(tmp_path / "a.wav", wave, 16_000, subtype="FLOAT")
    features, heard = model.hear(tmp_path / "a.wav")
    assert np.array_equal(features, front_end.features(wave)) and heard.total_s == 3.5
    assert np.array_equal(model.reconstruct(tmp_path / "a.wav"), model.face(features))
    assert np.array_equal(model.reconstruct(wave), model.face(features))
    with pytest.raises(AudioError, match=r"s of voice, and at least 0\.5 s"):
        model.reconstruct(wave[:6_000])


def test_checkpoints_that_are_not_there_or_broken_are_errors(tmp_path):
    with pytest.raises(CheckpointError, match=r"Train it first: run `.*python -m s2f study --profile synthetic`"):
        inference.load(tmp_path / "runs" / "synthetic" / "s0" / "general")
    (tmp_path / "checkpoint.safetensors").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="truncated"):
        inference.load(tmp_path)
    architecture = Architecture(0.0625, 0.0625, "none", True, "k4")
    model = inference.Model(architecture.voice_embedding(), architecture.generator(), architecture, "")
    header = {"architecture": {**architecture.__dict__, "head": "k1"}, "name": ""}
    weights = {f"voice_embedding.{k}": v for k, v in model.voice_embedding.state_dict().items()}
    tensors.save(tmp_path / "checkpoint.safetensors", weights, header=header)
    with pytest.raises(CheckpointError, match="another architecture"):
        inference.load(tmp_path)


def test_an_encoder_that_is_not_there_or_of_another_width_is_an_error(tmp_path):
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors is not there"):
        inference.load_encoder(tmp_path)
    encoder = Architecture(0.0625, 0.0625, "none", True, "k4").voice_embedding()
    for width, fits in ((0.0625, True), (0.125, False), (None, False)):
        header = {"encoder": "own"} if width is None else {"encoder": "own", "width": width}
        tensors.save(tmp_path / "encoder.safetensors", encoder.state_dict(), header=header)
        if fits:
            assert not inference.load_encoder(tmp_path).training
            continue
        with pytest.raises(CheckpointError, match="another architecture"):
            inference.load_encoder(tmp_path)


def many():
    """A model with a sampler."""
    torch.manual_seed(0)
    options = Sampler(embedding_dim=64, dim=6, width=16, n_axes=4, n_steps=2).options
    architecture = Architecture(0.0625, 0.0625, "batch", True, "k4", sampler=options)
    sampler = Sampler(embedding_dim=64, **options)
    sampler.learn_axes(torch.randn(40, 64))
    networks = architecture.voice_embedding().eval(), architecture.generator().eval()
    return inference.Model(*networks, architecture, "many", sampler.eval())


def test_a_model_with_a_sampler_survives_saving_and_draws_many_faces_of_one_voice(tmp_path):
    model = many()
    inference.save(tmp_path, model)
    back = inference.load(tmp_path)
    wave = vowel(2.5, pitch_hz=130, rng=np.random.default_rng(0)).astype(np.float32)
    faces = back.draw(wave, n=5, seed=3)
    assert faces.shape == (5, 64, 64, 3) and faces.dtype == np.uint8
    assert all((faces[k] != faces[0]).any() for k in range(1, 5))
    assert np.array_equal(faces, model.draw(wave, n=5, seed=3))
    assert np.array_equal(faces[:2], back.draw(wave, n=2, seed=3))
    assert not np.array_equal(faces, back.draw(wave, n=5, seed=4))
    assert np.array_equal(back.reconstruct(wave), model.reconstruct(wave))
    embedding = torch.from_numpy(model.embed(model.hear(wave)[0]))[None]
    codes = model.sampler.draw(embedding, noise(5, dim=6, seed=3)[None])[0]
    assert np.abs(faces.astype(int) - inference.rendered(model.generator, codes).astype(int)).max() <= 1
    typical = inference.rendered(model.generator, model.sampler.typical(embedding))[0]
    assert np.array_equal(back.reconstruct(wave), typical)


def test_each_voice_has_noise_of_its_own_and_one_face_without_a_sampler():
    model, voice = many(), torch.randn(1, 64)
    faces = model.draws(voice.expand(3, -1), 2)
    assert len({face.tobytes() for face in faces.reshape(6, -1)}) == 6
    one = small()
    faces = one.draws(torch.randn(3, 64), 4)
    assert faces.shape == (3, 4, 64, 64, 3) and (faces == faces[:, :1]).all()
    assert (faces[0, 0] != faces[1, 0]).any()
