"""torch's modules and five whole models, each beside its NNX twin."""
