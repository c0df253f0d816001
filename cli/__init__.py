"""The composition root and the commands: the only package that knows everything."""
