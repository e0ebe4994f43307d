"""Everything that is not a page: data, networks, training, runs and what can be learnt from them.

Import names from the module that defines them (`from core.training.trainer import fit`); packages
re-export nothing, and nothing in here imports Streamlit.
"""

import os

# Before the libraries are imported: onnxruntime would write a device id and report usage, and
# albumentations would look for a newer version online.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")

__version__ = "0.1.0"
