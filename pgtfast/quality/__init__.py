"""How far a body can be trusted: calibrated quality, and its calibration."""
