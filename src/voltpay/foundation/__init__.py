"""What the services stand on: seams, the runtime, the engines. Knows no payment rules."""
