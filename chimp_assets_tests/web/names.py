"""300 names as field sites give them: by families that share a first letter, short, often alike.

Belongs here: the list and its codes. No test belongs here.
"""

from __future__ import annotations

NAMES = tuple(
    """
    Fifi Figan Faben Flo Flint Flame Freud Frodo Fanni Flossi Faustino Ferdinand Fred Flirt Fudge Fundi Fanle Fax
    Fansi Familia Forest Falidi Fadhila Fiona Fabian Goblin Gremlin Gimble Galahad Getty Gaia Golden Glitter Gizmo
    Gabo Gimli Gossamer Glamour Groucho Gigi Gilka Godi Goliath Gyre Gossip Glacier Melissa Mandy Miff Mickey
    Michaelmas Mo Moeza Mustard Marina Merlin Miranda Mel Mambo Mwaka Mkono Makiwa Maybee Malaika Mandela Mgani
    Sparrow Sandi Sheldon Samwise Sampson Siri Safi Samson Sapphire Shangaa Sophie Sorema Skosha Satan Sifa Schweini
    Sniff Spindle Tita Tatiana Titan Tarime Tarzan Tabora Tofiki Trezia Tubi Tanga Tom Tangaa Tapit Tuki Tumaini Pom
    Passion Prof Pax Pallas Patti Plato Pepe Pooch Pipi Puck Pan Penda Pascal Darbee Dharsi Dilly Diana Dove Darma
    Duma Dixon Eliza Edgar Eowyn Ebony Evered Eliot Erika Eva Ellie Elfin Emily Emory Bahati Baseke Bima Beethoven
    Bumba Bandit Barbet Bruno Bella Candy Caramel Cocoa Chema Cusano Cindy Cello Conrad Charlie Apple Atlas Apollo
    Andromeda Aphro Arthur Athena Ashanti Aries Nasa Nuru Nyota Nope Nova Nasota Nereus Nadia Nuna Nipa Imani Ipo
    Itende Iko Ivo Imara Iris Jiffy Jackson Jomeo Jane Jasper Jua Juma Jumbe Kipara Kris Kidevu Konyagi Kazi Kibale
    Kobe Kesho Kalema Kalunde Kana Katabi Kavula Loretta Lamia Liza Leakey Londo Lila Lemba Linda Ludovic Leo Lubaga
    Hepziba Harris Hugo Hector Humphrey Helmi Hazina Vincent Vermeer Villa Vuvu Vera Winkle Wilkie Wolfi Wunda Willy
    Wanda Washi Rafiki Rumumba Rejea Rudi Rebeka Romani Rosa Rafa Rehema Rabia Zella Zeus Zinda Zuri Zamani Zola
    Zawadi Ulemba Uruk Umande Utali Quasimodo Yamaha Yolanda Yuka Nkombo Ntologi Nsaba Nyasa Wakusi Wakiluyi
    Penelope Perse Castor Clara Coco Dorry Endora Falstaff Goma Gala Héra Homère Isha Kady Kendo Kinshasa Loukoum
    Léo Mao Mystère Narcisse Noëlle Olivia Orest Ovid Oréade Porthos Pandora Perla Rubra Ricci Salomé Sagu Snoopy
    Théo Ulysse Venus Virunga Woodstock Xérès Zerlina
    """.split()  # noqa: SIM905  eighteen lines of words are read more easily than 300 quoted ones
)


def codes() -> list[str]:
    """A code for each: its first letters, longer where they are taken."""
    taken: list[str] = []
    for number, name in enumerate(NAMES):
        plain = "".join(letter for letter in name.upper() if letter.isascii())
        free = (f"{plain[0]}{letter}" for letter in plain[1:])
        taken.append(next((code for code in free if code not in taken), f"{plain[:2]}{number}"))
    return taken
