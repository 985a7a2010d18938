"""Devices, properties and weights of the OpenVINO backends."""
