"""What Voltpay does, in the order a payment meets it. Services never import each other."""
