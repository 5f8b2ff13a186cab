"""What is remembered: sessions, evidence, cool-downs, leases and the journal. Never a key, only keyed fingerprints."""
