"""Insight into the digits and into what networks predict for them."""
