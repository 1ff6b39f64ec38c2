"""The sensors, one a file: each asks one level-triggered question of SQL, and requests at most a few runs for it.

Discovery adds bundles and requests no runs. What runs next is asked of SQL and not of declarative automation, which
evaluates every partition of every asset at every tick and never asks for partitions that are there at its first tick.

A sensor is a module of this folder with a function `build() -> SensorDefinition`: a function, because intervals come
from the environment and an import must not read it. Nothing else registers it.
Does not belong here: the questions (`database.work`), the brakes (`automation.brakes`), the jobs (`automation.jobs`).
"""

import importlib
import pkgutil

import dagster as dg


def build_sensors() -> list[dg.SensorDefinition]:
    """The sensor of each module of this folder that builds one."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return [module.build() for module in modules if hasattr(module, "build")]
