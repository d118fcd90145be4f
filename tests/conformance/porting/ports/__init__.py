"""Five ports as people write them: the torch model, the Flax model, and what both are called with."""
