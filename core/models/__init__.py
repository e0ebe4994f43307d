"""Networks as lists of layer rows: the named ones, the module that runs any of them, and their summary."""
