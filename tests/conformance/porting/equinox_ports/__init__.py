"""The torch models of `ports`, ported to Equinox: each model takes one input, without a batch axis."""
