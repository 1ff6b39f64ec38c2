"""How a head treats groups of animals, cameras and times: what is compared, and with what certainty."""
