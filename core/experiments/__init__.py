"""What is learnt from several runs, and what is told of one: reports."""
