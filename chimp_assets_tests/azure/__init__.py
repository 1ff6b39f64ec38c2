"""Azure Blob storage against Azurite, Microsoft's emulator: a real server that is started, stopped and started again."""
