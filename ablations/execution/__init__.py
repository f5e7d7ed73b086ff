"""Training: data, the loop, the machine, and the executors of trials. Beside `torch_networks`, only this package loads torch."""
