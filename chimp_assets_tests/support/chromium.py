"""Where Debian's browser is and how it is started, for tests and benchmarks."""

import os
import shutil

CHROMIUM = os.environ.get("CHIMP_TEST_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
