"""The question "is this X?": who is asked, when it is settled, whose words count."""
