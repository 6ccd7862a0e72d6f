"""`voltpay demo`: real traffic while processors fail, and the reconciliation afterwards."""
