"""When videos were recorded: what names and clocks say, weighed, corrected, and kept in rows."""
