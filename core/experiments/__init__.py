"""Several runs together: repeats, comparisons, statistics, and the learning-rate range test."""
