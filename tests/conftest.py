"""What every test stands on: quiet libraries, settings files out of HOME, property tests that draw the same examples every time."""

import os
from pathlib import Path

from hypothesis import settings

settings.register_profile("house", max_examples=30, deadline=None, derandomize=True, database=None)
settings.load_profile("house")

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # before TensorFlow is imported: its C++ side reads it once
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # results are compared with literals, and those are a CPU's
os.environ.setdefault("KERAS_HOME", str(Path(__file__).resolve().parents[1] / ".cache" / "keras"))
