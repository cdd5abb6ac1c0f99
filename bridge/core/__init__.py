"""The pure middle: no I/O, no clock, no dice, standard library only."""
