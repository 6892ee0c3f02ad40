"""The composition root: settings in, services out. The only package that names concrete backends."""
