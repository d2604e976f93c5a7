"""What a cluster bears: its control plane in large, more gateways, parts that die."""
