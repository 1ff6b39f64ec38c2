"""Individuals as pages show them: the list, one in full, its sightings, pictures, decisions and lookalikes."""
