"""What runs leave on disk: curves, acquisitions, manifests, locks and the ledger."""
