"""What each transaction is, said once: `transactions` and `parameters`, written out as WADL, OpenAPI and JSON."""
