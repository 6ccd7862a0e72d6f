"""The seams: what a service may ask of an engine, whichever engine it is."""
