"""The database as a whole: migrations, views, backups, what must hold."""
