"""Named bytes in a folder or in Azure Blob storage: the archive that is read and the store that is written."""
