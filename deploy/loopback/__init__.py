"""What compose.yaml describes, as plain processes on this machine's loopback addresses."""
