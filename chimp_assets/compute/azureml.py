"""Heavy steps as jobs of Azure ML, each followed to a known end.

Belongs here: finding the job of a step or submitting it, following it, ending it. Does not belong here: what a job is
made of (`azureml_job`), the service (`azureml_workspace`), messages (`azureml_messages`).

`PipesAzureMLClient` of dagster_azure, whose place this takes, was tried: a cancelled job succeeds, a node that does not
respond is waited for without end, one lost connection fails the step and leaves the job running, a job that ends
without one message is a success, and a run that dies never finds its job again. Here

- success is `Completed` and the step's own word that its work is whole (`pipes_session.DONE`), nothing less;
- a look that fails is repeated, and a node that does not respond is waited for, `compute.azureml.patience_s` long;
- a run that is terminated ends its job first; a run that is killed leaves it, and the next run takes it over;
- what may have been submitted is looked for before it is submitted again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from chimp_assets.compute.azureml_job import WORK_TAG, job_of, work_of
from chimp_assets.compute.azureml_messages import (
    JobContext,
    JobMessages,
    Mailbox,
    account_url,
    clear_left_mailboxes,
    mailbox_store,
)
from chimp_assets.compute.azureml_workspace import (
    SILENT,
    JobState,
    Patience,
    Workspace,
    WorkspaceError,
    first_line,
    passes,
    passes_for_a_living_job,
)
from chimp_assets.compute.step_context import StepContext, step_key
from chimp_assets.errors import ChimpError

if TYPE_CHECKING:
    from chimp_assets.compute.heavy_step import HeavyStep
    from chimp_assets.home import Home

_LONGEST_CANCEL_S = 900.0
"""An end that was asked for takes minutes while nodes are cleaned; longer means that the service has lost them."""


class JobError(ChimpError):
    """A job of Azure ML ended badly, or its end cannot be known."""


@dataclass(frozen=True)
class _Claim:
    """The job that does the work of a step: its name, and its state if it is there already."""

    name: str
    found: JobState | None


def run_in_azureml(context: StepContext, home: Home, step: HeavyStep) -> dg.PipesClientCompletedInvocation | Any:
    """Runs a step as a job of the workspace that the settings name, and waits for its end.

    Raises SettingsError if a setting is missing, WorkspaceError if the service refuses, JobError if the job failed,
    was cancelled, or could not be reached for `compute.azureml.patience_s`.
    """
    return _Run(context, home, step).to_its_end()


class _Run:
    """One run that waits for one job."""

    def __init__(self, context: StepContext, home: Home, step: HeavyStep) -> None:
        self.context, self.home, self.step = context, home, step
        self.settings = home.settings.compute.azureml
        self.workspace = Workspace(self.settings)
        self.store = mailbox_store(home)
        self.say: Callable[[str], None] = context.log.info
        self.patient = Patience(self.settings.patience_s, self.settings.poll_s, context.log.warning)
        partition = context.partition_key if context.has_partition_key else None
        self.submitted = False
        self.work = work_of(home, step, step_key(context), partition)

    def to_its_end(self) -> dg.PipesClientCompletedInvocation | Any:
        """Finds or submits the job, follows it, clears its mailbox."""
        claim = self._claim()
        mailbox = Mailbox(self.store, claim.name)
        messages = JobMessages(mailbox)
        may_live = True  # until its end was seen: then the next run needs what lies in the mailbox
        try:
            with dg.open_pipes_session(
                context=self.context, context_injector=JobContext(mailbox), message_reader=messages
            ) as session:
                try:
                    self.submitted = claim.found is not None
                    state = claim.found or self._submit(claim.name, session.get_bootstrap_env_vars())
                    ended = self._follow(state, messages)
                    may_live = False
                    self._judge(ended, messages)
                except BaseException as error:
                    may_live = may_live and not self._end_for(error, claim.name)
                    raise
                messages.finish()
        finally:
            if not may_live:
                self._clear(mailbox)
        metadata: dict[str, Any] = {"azureml/job": claim.name}
        if ended.url:
            metadata["azureml/url"] = dg.MetadataValue.url(ended.url)
        return dg.PipesClientCompletedInvocation(session, metadata=metadata)

    def _claim(self) -> _Claim:
        """A job that another run has left, living or with an end that nobody has read; else a free name."""
        attempt, newest = self._newest_attempt()
        if newest is None:
            return _Claim(self.work.name(1), None)
        if newest.status == "CancelRequested":
            newest = self._await_end(newest.name) or newest
        elif not newest.ended:
            self.say(f"The job {newest.name} of an earlier run is {newest.status}: this run waits for it. {newest.url}")
            return _Claim(newest.name, newest)
        mailbox = Mailbox(self.store, newest.name)
        if newest.status == "Completed" and mailbox.message_blob(1) is not None:
            self.say(f"The job {newest.name} has ended while no run waited for it: this run reads what it reported.")
            return _Claim(newest.name, newest)
        mailbox.clear()
        return _Claim(self.work.name(attempt + 1), None)

    def _newest_attempt(self) -> tuple[int, JobState | None]:
        """The last attempt that the service knows. Attempts are numbered without a gap, so they are found by doubling
        and halving: a nightly step of years takes a dozen looks."""
        found: dict[int, JobState | None] = {}

        def look(attempt: int) -> JobState | None:
            if attempt not in found:
                found[attempt] = self._look(self.work.name(attempt))
            return found[attempt]

        last, beyond = 0, 1
        while look(beyond) is not None:
            last, beyond = beyond, 2 * beyond
        while beyond - last > 1:
            middle = (last + beyond) // 2
            if look(middle) is None:
                beyond = middle
            else:
                last = middle
        return last, found.get(last)

    def _look(self, name: str) -> JobState | None:
        try:
            return self.patient(f"Looking for the job {name}", lambda: self.workspace.job(name), passes)
        except Exception as error:
            raise self.workspace.explained(f"The job {name} could not be looked for", error) from error

    def _submit(self, name: str, pipes: Mapping[str, str]) -> JobState:
        """Hands the job over. Where the answer was lost on the way, it is looked for before that is done again."""
        job = job_of(self.home, self.step, name, self.work, self.context.run.run_id, pipes, account_url())
        self.submitted = True
        before: list[Exception] = []

        def submit() -> JobState:
            if before and (arrived := self.workspace.job(name)) is not None:
                return arrived
            try:
                return self.workspace.submit(job)
            except Exception as error:
                before.append(error)
                if not passes(error) and (taken := self._taken(name)) is not None:
                    return taken
                raise

        try:
            state = self.patient(f"Submitting the job {name}", submit, passes)
        except Exception as error:
            raise self.workspace.explained(f"The job {name} could not be submitted", error) from error
        self.say(f"The job {name} is submitted. {state.url}".strip())
        return state

    def _taken(self, name: str) -> JobState | None:
        """The job of this name if another run was quicker; a service says that in many words."""
        found = self.workspace.job(name)
        return found if found is not None and found.tags.get(WORK_TAG) == self.work.digest else None

    def _follow(self, state: JobState, messages: JobMessages) -> JobState:
        """Looks at a job until it has ended, and hands on its messages meanwhile."""
        name, seen, silent_since = state.name, "", None
        while True:
            if state.status != seen:
                self.say(f"The job {name} is {state.status}.")
                seen = state.status
            if state.ended:
                return state
            self._read(messages)
            if state.status in SILENT:
                silent_since = silent_since or time.monotonic()
                if time.monotonic() - silent_since > self.settings.patience_s:
                    raise JobError(
                        f"The job {name} is cancelled: it was {state.status} for {self.settings.patience_s:.0f} s.",
                        f"Its node may be lost; the next attempt takes another. {state.url}",
                    )
            else:
                silent_since = None
            time.sleep(self.settings.poll_s)
            state = self._state(name)

    def _state(self, name: str) -> JobState:
        """The state of a job that is there."""

        def look() -> JobState:
            found = self.workspace.job(name)
            if found is None:
                raise ConnectionError(f"the workspace does not know {name}")
            return found

        try:
            return self.patient(f"Looking at the job {name}", look, passes_for_a_living_job)
        except Exception as error:
            raise JobError(
                f"The job {name} could not be looked at for {self.settings.patience_s:.0f} s: {first_line(error)}",
                "If it lives, the next run of this step takes it over. See what `chimp doctor` says of the workspace.",
            ) from error

    def _read(self, messages: JobMessages) -> None:
        """What the job has said since the last look. A storage that is away is asked again at the next."""
        try:
            messages.read()
        except ChimpError as error:
            self.context.log.warning(f"Messages could not be read now: {error.sentence}")

    def _judge(self, ended: JobState, messages: JobMessages) -> None:
        """Raises JobError unless the job completed and its last start has said that its work is whole."""
        name, page = ended.name, f"Its log is in the studio: {ended.url}" if ended.url else "Its log is in the studio."
        self.patient(f"Reading the last messages of {name}", messages.read, lambda error: isinstance(error, ChimpError))
        why = f": {messages.failure}" if messages.failure else ""
        if ended.status == "Canceled":
            raise JobError(f"The job {name} was cancelled before its work was whole.", f"Run the step again. {page}")
        if ended.status != "Completed":
            raise JobError(f"The job {name} ended as {ended.status}{why or '.'}", page)
        if not messages.done:
            raise JobError(
                f"The job {name} completed without saying that its work is whole{why or '.'}",
                f"Run the step again; what it had committed is kept. {page}",
            )

    def _end_for(self, error: BaseException, name: str) -> bool:
        """Ends the job of a run that ends for error, as far as it can. Returns whether it is known to have ended.

        A run that could not look at its job for all its patience asks for the end too: it may be that only looks fail.
        """
        if not self.submitted or (isinstance(error, WorkspaceError) and self._never_was(error, name)):
            return True
        if isinstance(error, (dg.DagsterExecutionInterruptedError, KeyboardInterrupt)):
            self.say(f"This run is terminated: the job {name} is cancelled.")
        try:
            self.workspace.cancel(name)
        except Exception as refused:
            self.context.log.warning(f"The job {name} could not be cancelled: {first_line(refused)}")
            return False
        return self._await_end(name) is not None

    def _never_was(self, error: WorkspaceError, name: str) -> bool:
        """Whether the service refused a submission, or says that it has no such job. No answer is no answer: the job
        may have arrived, and lives on what lies in its mailbox."""
        try:
            return self.workspace.job(name) is None
        except Exception as silent:
            self.context.log.warning(f"A look at the workspace failed: {first_line(silent)}")
            return not (isinstance(error.__cause__, Exception) and passes(error.__cause__))

    def _await_end(self, name: str) -> JobState | None:
        """The state of a job whose end was asked for, once it has ended; None if that takes too long."""
        give_up = time.monotonic() + min(self.settings.patience_s, _LONGEST_CANCEL_S)
        while True:
            found = self._quietly_looked(name)
            if found is not None and found.ended:
                return found
            if time.monotonic() > give_up:
                self.context.log.warning(f"The job {name} was cancelled and has not ended: see the studio.")
                return None
            time.sleep(min(self.settings.poll_s, 5.0))

    def _quietly_looked(self, name: str) -> JobState | None:
        try:
            return self.workspace.job(name)
        except Exception as error:
            self.context.log.warning(f"A look at the workspace failed: {first_line(error)}")
            return None

    def _clear(self, mailbox: Mailbox) -> None:
        """Removes the mailbox of this job, and those that dead runs have left. What fails is left for the next run."""

        def has_ended(job: str) -> bool:
            found = self.workspace.job(job)
            return found is None or found.ended

        try:
            mailbox.clear()
            left = clear_left_mailboxes(self.store, has_ended)
        except Exception as error:
            self.context.log.warning(f"Messages of jobs could not be removed now: {first_line(error)}")
            return
        if left:
            self.say(f"Removed the messages of {left} jobs that no run had waited for.")
