"""Networks as lists of layer rows: named architectures, the module that runs them, summaries."""
