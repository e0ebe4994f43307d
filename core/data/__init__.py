"""The dataset, its augmentation, and the batches made of it."""
