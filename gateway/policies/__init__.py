"""Pure decisions: no clock, no disk, no network. Everything they need is an argument."""
