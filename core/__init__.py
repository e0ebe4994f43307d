"""Everything that is not a page: data, networks, training, runs and what can be learnt from them.

Import modules where they live (`from core.training.trainer import fit`); the packages hand on no names,
and nothing in here imports streamlit.
"""

__version__ = "0.1.0"
