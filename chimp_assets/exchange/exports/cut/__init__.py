"""Pictures of individuals for programs of re-identification.

Belongs here: pictures cut from kept frames, and the formats that hand them on. Does not belong here: crops for our own
networks (`vision.pictures`).
"""
