"""The ledger: posts settled payments to books that always balance."""
