"""Whether a strategy keeps the contract: small pools, and checks on them."""
