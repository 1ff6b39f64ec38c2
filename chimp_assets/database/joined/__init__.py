"""Tables of other data that people import to join them with sightings: `ext_` tables and what is known of them."""
