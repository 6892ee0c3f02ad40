"""Pages for people that are no viewer: signing in."""
