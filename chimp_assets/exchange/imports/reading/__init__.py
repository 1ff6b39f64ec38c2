"""Reading without trust: what the formats share.

Belongs here: files and members of zips, JSON, XML and tables that are read in pieces, and single values. Does not
belong here: what a format means (modules and rooms beside this one).

How damage is found before anything is stored: a reader is lazy, and its file is read to the end both for the media and
for the boxes. So whoever stores goes through a Reading once to check and count it, and then asks for another one, which
gives the same, to store it.
"""
