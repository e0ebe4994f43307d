"""A run or a group of runs described in Markdown and HTML, with charts."""
