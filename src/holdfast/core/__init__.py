"""The decisions: who answers, what a fault means, what to do next. No I/O, no clock, no dice, no third
party."""
