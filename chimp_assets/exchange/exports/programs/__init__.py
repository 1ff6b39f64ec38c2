"""Files for programs in which people watch films and tables of camera traps: BORIS, ELAN, camtrapR.

Belongs here: when an individual is in view, and the formats of these programs. Does not belong here: boxes.
"""
