"""Compare records: what differs between jobs, how much their outputs differ, and which job to use."""
