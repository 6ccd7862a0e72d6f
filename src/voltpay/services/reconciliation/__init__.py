"""Reconciliation: hold everything that is known of every payment against everything else."""
