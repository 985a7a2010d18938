"""What this machine is and how it is measured: processor, accelerators, memory, energy."""
