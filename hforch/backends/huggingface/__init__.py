"""Modules shared by the backends that use transformers' generation: pytorch and openvino."""
