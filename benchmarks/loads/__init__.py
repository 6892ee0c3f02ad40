"""What asks the servers: the same for each of them."""
