"""Azure Blob storage against Azurite, Microsoft's emulator: a real server, stopped and started again."""
