"""What changed in the films of a camera: facts of files and clocks, views, and signals of older homes."""
