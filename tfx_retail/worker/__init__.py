"""What runs on the machines of a cluster, and what travels there."""
