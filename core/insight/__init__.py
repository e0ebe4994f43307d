"""What a trained network sees: predictions, mistakes, drawings, statistics."""
