"""`voltpay bench`: what an installation on this machine does, durability on."""
