"""The language of the house: pure values, and only what two services need."""
