"""The sections of a report: numbers of the archive at one moment, each read where a page or a view reads it too."""
