"""Makes the container of the store in the emulator of deploy/compose.yml; a real account has its own from azure/.

Belongs here: that one request. The key below is the emulator's own, which Microsoft publishes; it opens nothing else.
"""

import os
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import ContainerClient

EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

client = ContainerClient(
    os.environ["AZURE_STORAGE_ENDPOINT"], urlsplit(os.environ["CHIMP_STORE_URL"]).netloc, credential=EMULATOR_KEY
)
try:
    client.create_container()
    print(f"Made the container {client.container_name}.")  # noqa: T201  a log
except ResourceExistsError:
    print(f"The container {client.container_name} is there.")  # noqa: T201
