"""SAM 2: checkpoints and the engine that runs them."""
