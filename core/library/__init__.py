"""What a user keeps across runs: architectures and digits."""
