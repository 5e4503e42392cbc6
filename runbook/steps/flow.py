"""What a playbook says to itself and to people: values, conditions, messages, questions, and other playbooks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runbook.errors import NoPlaybookError, RefusedError, unexpected
from runbook.label import Label
from runbook.playbook.expressions.model import UNKNOWN
from runbook.playbook.model import Effect, Field, StepDeclaration
from runbook.shipped_playbooks import find_playbook
from runbook.steps.base import Step, StepResult
from runbook.text import beginning, shown

if TYPE_CHECKING:
    from runbook.by_hand import HandView, Instruction
    from runbook.steps.context import StepContext

SET = StepDeclaration(
    "set",
    "Give names to values, so that an expression is written once.",
    Effect.READ,
    parameters=(Field("values", "map", "the values by name", required=True),),
    results=(Field("values", "map", "the same values, worked out"),),
    observe="It changes nothing.",
    shadow="It is done as in a real run.",
    parallel=True,
    example="""\
- id: before
  uses: raft.snapshot
- id: limits
  uses: set
  with:
    values:
      spare: "${{ before.voters - before.quorum }}"   # from here on limits.values.spare
- uses: log.message
  with: { text: "${{ limits.values.spare }} of ${{ before.voters }} may fail" }
""",
)


def set_values(_context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Their names are told, and not the values: one may be a secret in a form that no redaction knows."""
    return StepResult(f"named {', '.join(arguments['values']) or 'nothing'}", {"values": dict(arguments["values"])})


ASSERT = StepDeclaration(
    "assert",
    "Go on only if this holds; else fail with your own words.",
    Effect.READ,
    parameters=(
        Field("that", "bool", "an expression in ${{ }} that is true or false", required=True),
        Field("else", "string", "what to tell where it is false", required=True),
    ),
    observe="It changes nothing.",
    shadow="It is held as in a real run; what only that can tell is unknown, and does not fail.",
    parallel=True,
    example="""\
- id: before
  uses: raft.snapshot
- uses: assert
  with:
    that: "${{ before.voters >= 3 }}"     # with ${{ }}, or it would be a text
    else: "a cluster of ${{ before.voters }} cannot lose a server"
""",
)


def assert_that(_context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises StepError with the playbook's words where it is not so."""
    if arguments["that"] is UNKNOWN:
        return StepResult("only the real run can tell", {}, Label.UNKNOWN)
    if arguments["that"] is not True:
        raise unexpected(shown(arguments["else"]))
    return StepResult("it is so", {})


MESSAGE_LIMIT = 4000  # characters

LOG_MESSAGE = StepDeclaration(
    "log.message",
    "Say something to whoever reads along, now or in the record.",
    Effect.READ,
    parameters=(Field("text", "string", "what to say, at most 4,000 characters of it", required=True),),
    observe="It changes nothing.",
    shadow="It is said as in a real run, as far as it is known.",
    parallel=True,
    example="""\
- uses: log.message
  with:
    text: "${{ run.name }}: call the storage team before you go on"   # text and values mix
""",
)


def log_message(_context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """The text is the step's message, from which log, screen and report are drawn."""
    unknown = Label.UNKNOWN if arguments["text"] is UNKNOWN else None
    return StepResult(beginning(shown(arguments["text"]), MESSAGE_LIMIT), {}, unknown)


APPROVE = StepDeclaration(
    "approve",
    "Ask the person at the terminal, and go on only after a yes. Refused without a terminal, unless --yes is given.",
    Effect.READ,
    parameters=(
        Field("prompt", "string", "what they agree to, in one sentence", required=True),
        Field("within", "duration", "how long they may take", default=600.0, min=1, max=86400.0),
    ),
    results=(
        Field("who", "string", "who agreed"),
        Field("at", "string", "when, in UTC"),
    ),
    observe="It changes nothing; a yes is in the record, with who and when.",
    shadow="Nobody is asked: the question is told, and it is refused where nobody could be asked in a real run.",
    example="""\
- uses: approve
  with:
    prompt: "Have the disks of the dead server been secured?"
    within: 15m             # then it is refused, and nothing was changed
""",
)


def approve(context: StepContext, arguments: dict[str, Any]) -> StepResult:
    """Raises RefusedError where nobody agreed: refused is not failed."""
    from runbook.events import Approved, Waiting
    from runbook.raft.removal import Refusal

    prompt = shown(arguments["prompt"])
    if context.ask is None:
        raise RefusedError(Refusal("NotApproved", f"nobody can be asked: {prompt}", "Run it at a terminal"))
    seconds = context.left(arguments["within"])
    context.emit(Waiting(context.step, round(seconds, 1), f"an answer to: {prompt}"))
    agreed = context.ask(prompt, seconds)
    context.emit(Approved(context.step, agreed.who, agreed.how))
    if context.dry_run:  # they may take their time, and then it is another moment
        return StepResult(f"would ask: {prompt}", {"who": agreed.who, "at": UNKNOWN})
    return StepResult(f"agreed to by {agreed}", {"who": agreed.who, "at": context.clock.now()})


PLAYBOOK_RUN = StepDeclaration(
    "playbook.run",
    "Run another playbook to its end, its steps in the same record and under the same guards.",
    Effect.UNKNOWN,
    parameters=(
        Field(
            "playbook",
            "path",
            "a file (a relative path begins in this playbook's folder), or the name of a shipped one",
            required=True,
        ),
        Field("params", "map", "its params by name"),
    ),
    results=(Field("outcome", "string", "how it ended, in its own words"),),
    observe="Each of its steps tells for itself.",
    shadow="It is run as a dry run, step by step.",
    example="""\
- uses: playbook.run
  effect: read              # it holds no step that changes anything
  with:
    playbook: health-check         # shipped; or a file beside this one, which may not run this one in turn
""",
)


def refuse_recursion(running: tuple[str, ...], path: str) -> str:
    """The absolute path of the playbook meant, which is none of the ``running`` ones, the outermost first."""
    from runbook.steps.named_playbooks import MAX_NESTING

    folder = Path(running[-1]).parent if running else Path()
    try:
        target = Path(find_playbook(path, str(folder))).resolve()
    except NoPlaybookError as error:
        raise unexpected(str(error)) from None
    chain = [Path(one).resolve() for one in running]
    if target in chain:
        told = " runs ".join(one.name for one in (*chain[chain.index(target) :], target))
        raise unexpected(f"{target} would run itself: {told}", "Take one of them out")
    if len(chain) >= MAX_NESTING:
        raise unexpected(f"{target} would be number {len(chain) + 1} within each other, and {MAX_NESTING} is the most")
    return str(target)


def set_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """Nothing: later steps read it."""
    from runbook.by_hand import Instruction, in_words

    values = arguments["values"]
    told = ", ".join(f"{name} is {in_words(value)}" for name, value in values.items()) if values else "nothing"
    yield Instruction(f"Nothing to do but to know: {told}.")


def assert_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """What must hold."""
    from runbook.by_hand import Instruction, in_words

    that = {True: "It holds", False: "It does not hold: stop"}.get(arguments["that"], "")
    must = that or f"Go on only if this holds: {in_words(arguments['that'])}"
    if arguments["else"]:  # else it is an assert of its own, which is told with the step
        yield Instruction(f"{must}. Else: {in_words(arguments['else'])}")


def say_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """The message."""
    from runbook.by_hand import Instruction, in_words

    yield Instruction(f"Say, or note: {in_words(arguments['text'])}")


def approve_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """Whom to ask."""
    from runbook.by_hand import Instruction, in_words

    yield Instruction(f"Ask whoever is responsible, and go on only after a yes: {in_words(arguments['prompt'])}")


def run_playbook_by_hand(_view: HandView, arguments: dict[str, Any]) -> Iterator[Instruction]:
    """Where its steps are told."""
    from runbook.by_hand import Instruction, in_words

    yield Instruction(f"Do what the playbook {in_words(arguments['playbook'])} does.")


STEPS = (
    Step(SET, set_values, set_by_hand),
    Step(ASSERT, assert_that, assert_by_hand),
    Step(LOG_MESSAGE, log_message, say_by_hand),
    Step(APPROVE, approve, approve_by_hand),
    Step(PLAYBOOK_RUN, None, run_playbook_by_hand),  # the engine runs it
)
