"""Association indices from uncertain names: bias, coverage, false changes, power, seconds."""
