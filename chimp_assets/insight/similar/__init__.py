"""Tracks that look like examples: the question of an address, and its answer.

Belongs here: what is asked (`asked`), which rows may be found (`places`), the answer (`answer`), what is known of the
tracks that are shown (`tracks`).
Does not belong here: the vectors and their scan (`vision.embedding.search_index`), pages (`web.pages.similar`).
"""
