"""The engine of openvino_genai: its scheduler and settings."""
