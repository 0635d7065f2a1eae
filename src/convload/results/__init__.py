"""What a run measured and what follows from it: plain Python and NumPy, free of gevent."""
