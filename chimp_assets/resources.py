"""HOW the assets reach the world: one resource that opens the home, one that runs heavy steps in their own process.

Belongs here: Dagster resources. Does not belong here: the home itself (`home`), or anything imported from torch, av or
azure: loading the definitions must stay as quick as importing dagster.
"""

import os
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from chimp_assets.home import Home
    from chimp_assets.vision.evaluation.audit import AuditJudge


class HomeResource(dg.ConfigurableResource):
    """The home of this deployment: settings, database, store and archive, opened when first asked for.

    `path` empty means CHIMP_HOME of the process that runs the step, read at that moment and not at import.
    """

    path: str = ""
    _home: Any = PrivateAttr(default=None)
    _judge: Any = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Before a step or a tick: nothing runs where it cannot reach the home, or by a clock that is wrong.

        Raises SettingsError, ClockError.
        """
        from chimp_assets.dagster_home import launcher_of, require_reachable
        from chimp_assets.home import has_home

        if not has_home(self.path or None):
            return  # whoever opens it says so
        opened = self.open()
        require_reachable(opened.settings, None if context.instance is None else launcher_of(context.instance))
        if opened.settings.is_on_server:
            opened.require_right_clock()

    def open(self) -> "Home":
        """The home, opened once for each process. Raises ChimpError with a remedy."""
        if self._home is None:
            from chimp_assets import private_files
            from chimp_assets.home import Home

            private_files.keep_private()  # a code server that nobody of ours has started
            self._home = Home.open(self.path or os.environ.get("CHIMP_HOME") or None)
        return self._home

    def audit_judge(self) -> "AuditJudge":
        """The heads' answers to the audit, the same for all steps of a run: the gate decides by what was measured."""
        if self._judge is None:
            from chimp_assets.loop.retrain import audit_judge

            self._judge = audit_judge(self.open())
        return self._judge

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Lets the database connections of a step or of a sensor's tick go with it."""
        if self._home is not None and "database" in vars(self._home):
            self._home.database.dispose()
        self._home = self._judge = None


def build_resources(**overrides: Any) -> dict[str, Any]:
    """The resources by name; overrides replace them in tests and other deployments."""
    return {"home": HomeResource(), "compute": dg.PipesSubprocessClient(), **overrides}
