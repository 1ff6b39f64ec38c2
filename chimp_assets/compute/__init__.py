"""WHERE heavy steps run: in a process of this machine, as a job of Azure ML, as a pod of Kubernetes.

Belongs here: what a heavy step is, and one module for each place that runs it. Does not belong here: the work of a step
(`vision`, `loop`), which asset asks for it (`assets`), where Dagster's runs themselves go (`automation.launchers`).
"""
