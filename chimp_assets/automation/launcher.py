"""The name under which instances of older homes know the launcher of one machine.

Belongs here: that name, because a home keeps the dagster.yaml that it was made with. Does not belong here: anything
else (`launchers.local`).
"""

from chimp_assets.automation.launchers.local import LocalRunLauncher

__all__ = ["LocalRunLauncher"]
