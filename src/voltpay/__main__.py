"""`python -m voltpay` is `voltpay`."""

from voltpay.cli import main

main()
