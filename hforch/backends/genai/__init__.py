"""Engine, scheduler and generation settings of backend=openvino_genai."""
