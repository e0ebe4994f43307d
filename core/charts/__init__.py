"""Altair charts, digits as PNG sprites and diagrams as SVG, one module a page's charts."""
