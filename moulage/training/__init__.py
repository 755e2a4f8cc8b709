"""One loop for every phase, its batches, its treatments and its checkpoints."""
