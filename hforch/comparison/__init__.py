"""Records side by side: what differs between jobs, how far their outputs are apart, and which to take."""
