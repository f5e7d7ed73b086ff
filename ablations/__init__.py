"""Ablation studies of Network-in-Network CNNs: from a YAML file to an honest comparison report."""
