"""What the OpenVINO backends share: devices, properties, weights."""
