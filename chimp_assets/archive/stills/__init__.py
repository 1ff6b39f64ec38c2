"""Picture files of the archive: what they are, what their EXIF says, how they are decoded, and which make one burst."""
