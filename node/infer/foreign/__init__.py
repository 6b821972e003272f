"""Networks that come without code: TorchScript, ONNX and MONAI bundles, run as ``model.toml`` declares."""
