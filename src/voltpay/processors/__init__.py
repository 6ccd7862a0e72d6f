"""What charges: the seam, the adapters behind it, and the sandbox processor."""
