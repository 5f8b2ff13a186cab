"""Values and texts that decide nothing and that every layer uses. As pure as `core`: no I/O, no clock.

A key's value (secret), the label of a key without one (key_labels), text from outside (plain_text), addresses
of hosts (addresses), durations and times (times), the sentences about faults (fault_texts)."""
