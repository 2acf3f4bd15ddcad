#!/bin/sh
# spafe 0.3.3: a mel or linear filter bank from 300 to 3400 Hz reaches from 31 to 7969 Hz.
#
# Guess: `low_freq` and `high_freq` bound the filters, as the docstring says; MFCC of the telephone band do not see what
# lies above it; every bank of the package does it the same way.
# Behaviour: the bins of the spectrum are taken to run from `low_freq` to `high_freq` instead of from 0 to half the rate.
# The linear bank is the same matrix whatever the limits; the mel bank is stretched over the whole spectrum, and its
# filters sit at other frequencies than the centres returned with it. A whistle at 6 kHz moves the MFCC "of 300 to 3400
# Hz" as much as those of the whole band. The Bark bank of the same package keeps its limits.
# What to do: look at the matrix once (first and last bin that is not zero), or hand in a bank from elsewhere as `fbanks`.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check spafe==0.3.3 scipy==1.17.1 numpy==2.4.6
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.metadata

import numpy as np
from spafe.fbanks.bark_fbanks import bark_filter_banks
from spafe.fbanks.linear_fbanks import linear_filter_banks
from spafe.fbanks.mel_fbanks import mel_filter_banks
from spafe.features.mfcc import mfcc

limits, rate, points = dict(low_freq=300, high_freq=3400), 16000, 512
banks = {"mel": mel_filter_banks, "linear": linear_filter_banks, "bark": bark_filter_banks}
print("spafe", importlib.metadata.version("spafe"))
reach = {}
for name, bank in banks.items():
    weights = bank(nfilts=24, nfft=points, fs=rate, **limits)[0]
    reach[name] = (np.flatnonzero(weights.any(axis=0))[[0, -1]] * rate / points).tolist()
    print(f"{name} bank from 300 to 3400 Hz: first and last frequency with a weight {reach[name]}")
assert reach["mel"] == reach["linear"] == [31.25, 7968.75] and 250 < reach["bark"][0] < reach["bark"][1] < 3450

wide = linear_filter_banks(nfilts=24, nfft=points, fs=rate)[0]
narrow = linear_filter_banks(nfilts=24, nfft=points, fs=rate, **limits)[0]
print("linear bank with and without limits, furthest apart:", np.abs(wide - narrow).max())
assert np.abs(wide - narrow).max() < 1e-9

weights, centres = mel_filter_banks(nfilts=24, nfft=points, fs=rate, **limits)
stated = 700 * (10 ** (np.array(centres) / 2595) - 1)
peaks = weights.argmax(axis=1) * rate / points
print("last mel filter: stated centre", stated[-1].round(), "Hz, peak of its weights", peaks[-1], "Hz")
assert stated[-1] < 3400 and peaks[-1] > 7000

rng = np.random.default_rng(0)
time = np.arange(rate) / rate
voice = sum(np.sin(2 * np.pi * 130 * k * time) / k for k in range(1, 26)) + 0.01 * rng.normal(size=rate)
whistle = voice + 0.3 * np.sin(2 * np.pi * 6000 * time)


def moved(**bounds):
    return float(np.abs(mfcc(whistle, fs=rate, **bounds) - mfcc(voice, fs=rate, **bounds)).mean().round(2))


print("a whistle at 6 kHz moves the MFCC of the whole band by", moved(), "and those of 300 to 3400 Hz by", moved(**limits))
assert moved() > 0.5 and moved(**limits) > 0.5
print("as described")
PYTHON
