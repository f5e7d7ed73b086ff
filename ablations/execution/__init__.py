"""Training: data, the loop, the machine, and the executors that run trials. The only package that imports torch."""
