"""What is fuzzed. A target takes bytes and raises when something does not hold; `table` lists them all."""
