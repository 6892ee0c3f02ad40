"""The console: pages for doctors and for who runs the archive, made whole here; htmx replaces parts of them."""
