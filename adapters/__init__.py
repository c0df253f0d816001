"""The gateway's partners and parties, one package each, with the same anatomy."""
