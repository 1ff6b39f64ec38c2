"""One video file: opened, looked at, decoded whole or in parts, in processes of their own."""
