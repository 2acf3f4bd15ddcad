#!/bin/sh
# PyAV 18.1.0: one stereo recording turned into mono is 3 dB louder as float than as 16-bit, and goes beyond full scale.
#
# Guess: `AudioResampler(format=…, layout="mono")` averages the channels whatever the sample type, which says only how
# samples are written; mono to stereo copies the channel at its level; there and back changes nothing.
# Behaviour: the weights depend on the type that comes out. To 16 bits two equal channels give their own level; to float
# they give 1.41 times it, so that loud passages leave -1 to 1 (and are cut when written to a file of 16 bits). It does
# not matter what goes in. Mono to stereo lowers the voice to 0.71 in both types; there and back again is 1 in float and
# 0.71 in 16 bits. A voice in the centre of six channels comes out at 1 in float and at 0.29 in 16 bits, 11 dB apart.
# What to do: convert the type only (`format="fltp"` without a layout) and average the channels by hand.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check av==18.1.0 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import av
import numpy as np

rate = 16000
time = np.arange(rate) / rate
voice = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 20))
voice = (0.9 * voice / np.abs(voice).max()).astype(np.float32)
silence = np.zeros_like(voice)


def turned(channels, layout, target, into, source="fltp"):
    """Channels [C, N] in another layout and sample type, as float64 where full scale is 1."""
    samples = np.stack(channels)
    frame = av.AudioFrame.from_ndarray(samples if source == "fltp" else np.round(samples * 32767).astype(np.int16), source, layout)
    frame.sample_rate = rate
    resampler = av.AudioResampler(format=target, layout=into, rate=rate)
    out = np.concatenate([part.to_ndarray() for part in resampler.resample(frame) + resampler.resample(None)], axis=1)
    return out / (32768 if out.dtype == np.int16 else 1.0)


def level(sound):
    return round(float(sound.std() / voice.std()), 2)


print("PyAV", av.__version__, "- level beside the voice's own")
seen = {}
for target in ("fltp", "s16p"):
    stereo = turned([voice], "mono", target, "stereo")
    seen[target] = [
        level(turned([voice, voice], "stereo", target, "mono")),
        level(turned([voice, voice], "stereo", target, "mono", source="s16p")),
        level(turned([voice, silence], "stereo", target, "mono")),
        level(stereo[0]),
        level(turned(stereo.astype(np.float32), "stereo", target, "mono")),
        level(turned([silence, silence, voice, silence, silence, silence], "5.1", target, "mono")),
    ]
    print(f"to {target}: both channels {seen[target][0]}, from 16 bits {seen[target][1]}, left only {seen[target][2]},",
          f"mono to stereo {seen[target][3]}, and back {seen[target][4]}, centre of six {seen[target][5]}")
loud = np.abs(turned([voice, voice], "stereo", "fltp", "mono"))
print("peak of the voice", np.abs(voice).max(), "and of its mono in float", loud.max().round(3),
      "- samples beyond full scale:", (loud > 1).sum())
assert seen["fltp"] == [1.41, 1.41, 0.71, 0.71, 1.0, 1.0]
assert seen["s16p"] == [1.0, 1.0, 0.5, 0.71, 0.71, 0.29]
assert loud.max() > 1.2
print("as described")
PYTHON
