"""The ledgers: one package for each kind of store, all of them keeping the protocol of `pinstripe.ledger`."""
