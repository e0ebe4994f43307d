"""Everything that is not a page: data, networks, training, runs and what can be learnt from them.

Import names from the module that defines them (`from core.training.trainer import fit`); packages
re-export nothing, and nothing in here imports Streamlit.
"""

__version__ = "0.1.0"
