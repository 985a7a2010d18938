"""What the backends over a transformers pipeline share: torch and optimum-intel."""
