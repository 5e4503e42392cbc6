"""The options of a run, new or resumed, and how they are parsed. Light, as every start of the command line loads it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from runbook.cli.terminal import Terminal
    from runbook.cluster.choice import ClusterChoice
    from runbook.raft.diagnosis.thresholds import Thresholds, ValueRange
    from runbook.session.run_session import RunOptions

F = TypeVar("F", bound=Callable[..., Any])


def completes(kind: str) -> Callable[[click.Context, click.Parameter, str], list[CompletionItem]]:
    """What a shell offers for a word of this kind; for a playbook and a scenario files too."""

    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[CompletionItem]:
        from click.shell_completion import CompletionItem

        from runbook.cli.completion import names_of

        items = [CompletionItem(name) for name in names_of(kind) if name.startswith(begun)]
        return items if kind not in ("playbook", "scenario") or items else [CompletionItem(begun, type="file")]

    return complete


FORMAT = click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="For a person, or for a machine.",
)
INVENTORY = click.option(
    "--inventory", type=click.Path(), metavar="FILE", help="The inventory, where it is none of the usual files."
)
KIND = click.option(
    "--kind",
    type=click.Choice(["nomad", "consul", "etcd", "vault", "openbao"]),
    help="Which one, where the environment names clusters of several products.",
)
CLUSTER_OPTIONS = (
    click.option(
        "--cluster",
        metavar="NAME",
        shell_complete=completes("cluster"),
        help="A cluster of the inventory; else the environment says which.",
    ),
    INVENTORY,
    KIND,
)


def print_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    """Whoever reports a fault is asked for it. Nothing is loaded for it but what is installed."""
    if not wanted or context.resilient_parsing:
        return
    from runbook import __version__
    from runbook.cli.output import Output
    from runbook.inspection.machine import library_versions, python_version

    libraries = ", ".join(f"{name} {number}" for name, number in library_versions().items() if number)
    Output().lines([f"runbook {__version__}, Python {python_version()}; {libraries}"])
    context.exit()


def cluster_options(function: F) -> F:
    """Which cluster is meant."""
    for option in reversed(CLUSTER_OPTIONS):
        function = option(function)
    return function


def parse_choice(cluster: str | None, inventory: str | None, kind: str | None) -> ClusterChoice:
    """From what was typed. Raises click.UsageError where the words do not go together."""
    if cluster and kind:
        raise click.UsageError("--kind says which cluster of the environment is meant, so it goes with no --cluster")
    if inventory and not cluster:
        raise click.UsageError("--inventory names a file of clusters: say which one with --cluster NAME")
    from runbook.cluster.choice import ClusterChoice

    return ClusterChoice(cluster, inventory, kind)


def run_options(*more: Any) -> Callable[[F], F]:
    """Which cluster, how a run is shown, who is asked, and what a person sets aside: the same for a new run and a
    resumed one.
    """
    options = [
        *more,
        *CLUSTER_OPTIONS,
        click.option("--yes", is_flag=True, help="Agree to its changes beforehand; without a terminal it is needed."),
        click.option("--step", is_flag=True, help="Ask before every change; needs a terminal."),
        click.option(
            "--log-format", type=click.Choice(["text", "json"]), help="Default: text on a terminal, else json."
        ),
        click.option("--quiet", is_flag=True, help="Print only how it ended."),
        click.option("-v", "--verbose", is_flag=True, help="Keep tracebacks in the journal."),
        click.option(
            "--override",
            type=click.Choice(["cooldown", "cluster-minimum"]),
            multiple=True,
            help="Set this guard aside; needs --reason; repeatable.",
        ),
        click.option(
            "--confirmed-off",
            metavar="NAME",
            multiple=True,
            help="You have made sure that this server is off; needs --because; repeatable.",
        ),
        click.option("--because", metavar="TEXT", multiple=True, help="How you know it, for each --confirmed-off."),
        click.option("--take-over", is_flag=True, help="Take the lock from a run that died; needs --reason."),
        click.option("--reason", default="", help="Why, for the record."),
        click.option(
            "--sign-journal",
            type=click.Path(exists=True, dir_okay=False),
            metavar="KEY",
            help="Your SSH key, or the public half of one in an agent: sign the head of the journal at the end.",
        ),
    ]

    def decorate(function: F) -> F:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def parse_run_options(
    yes: bool,
    log_format: str | None,
    quiet: bool,
    verbose: bool,
    override: tuple[str, ...],
    confirmed_off: tuple[str, ...],
    because: tuple[str, ...],
    take_over: bool,
    reason: str,
    *,
    cluster: str | None = None,
    inventory: str | None = None,
    kind: str | None = None,
    dry_run: bool = False,
    run_reads: bool = False,
    step: bool = False,
    unattended: bool = False,
    answers: tuple[str, ...] = (),
    sign_journal: str | None = None,
) -> tuple[RunOptions, Terminal]:
    """From what was typed, and from where it was typed. Raises click.UsageError."""
    if (override or take_over) and not reason.strip():
        raise click.UsageError("--override and --take-over are recorded: say why with --reason TEXT")
    if run_reads and not dry_run:
        raise click.UsageError("--run-reads is for --dry-run, which would not run them")
    if unattended and (override or confirmed_off or take_over or step):
        raise click.UsageError(
            "--unattended says that nobody watches: what a person sets aside or confirms is left out"
        )
    from runbook.cli.terminal import Terminal
    from runbook.report.stream import is_terminal
    from runbook.session.cluster_lock import Overrides
    from runbook.session.run_session import RunOptions

    attended = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    if step and (yes or not attended):
        raise click.UsageError("--step asks before every change, so it needs a terminal and no --yes")
    form = "none" if quiet else log_format or ("text" if is_terminal(sys.stderr) else "json")
    options = RunOptions(
        choice=parse_choice(cluster, inventory, kind),
        dry_run=dry_run,
        run_reads=run_reads,
        step_by_step=step,
        keep_tracebacks=verbose,
        overrides=Overrides(take_over, frozenset(override), reason),
        answers=parse_answers(answers),
        confirmed_off=parse_confirmed_off(confirmed_off, because),
        unattended=unattended,
        sign_with=sign_journal or "",
    )
    return options, Terminal(attended, yes, form)


def parse_confirmed_off(names: tuple[str, ...], reasons: tuple[str, ...]) -> dict[str, str]:
    """How a person knows of each server that it is off, by its name. Raises click.UsageError."""
    if len(names) != len(reasons) or not all(each.strip() for each in (*names, *reasons)):
        raise click.UsageError("each --confirmed-off NAME needs a --because TEXT of its own, and the other way round")
    return dict(zip(names, reasons, strict=True))


def parse_duration_option(_context: click.Context, _option: click.Parameter, text: str) -> float:
    """The seconds of a duration as playbooks write it. Raises click.BadParameter."""
    from runbook.playbook.types import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.BadParameter(f"{text}: {error}") from None


def parse_head(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """A hash as `runbook audit` prints it. Raises click.BadParameter."""
    if text is None or (len(text) == 64 and set(text.lower()) <= set("0123456789abcdef")):
        return text.lower() if text else None
    raise click.BadParameter("a head has 64 hexadecimal digits, as `runbook audit RUN` prints it")


def parse_params(params: tuple[str, ...]) -> dict[str, str]:
    """By their names. Raises click.BadParameter."""
    for param in params:
        if "=" not in param:
            raise click.BadParameter("one --param has no =; write --param NAME=VALUE")  # it may be a secret
    return dict(param.split("=", 1) for param in params)


def parse_thresholds(warning: tuple[str, ...], critical: tuple[str, ...]) -> Thresholds:
    """By level, and by the name of the number. Raises click.BadParameter."""
    from runbook.raft.diagnosis.check_result import METRIC_NAMES
    from runbook.raft.diagnosis.thresholds import Thresholds, parse_range

    found: list[dict[str, ValueRange]] = []
    for option, given in (("--warning", warning), ("--critical", critical)):
        found.append({})
        for text in given:
            name, _, wanted = text.partition("=")
            if name not in METRIC_NAMES:
                raise click.BadParameter(f"{option} {text}: write NAME=RANGE, NAME one of {', '.join(METRIC_NAMES)}")
            try:
                found[-1][name] = parse_range(wanted)
            except ValueError as error:
                raise click.BadParameter(f"{option} {text}: {error}") from None
    return Thresholds(*found)


def parse_labels(labels: tuple[str, ...]) -> dict[str, str]:
    """By their names. Raises click.BadParameter."""
    found: dict[str, str] = {}
    for label in labels:
        name, equals, value = label.partition("=")
        if not equals:
            raise click.BadParameter(f"{label} has no =; write --label NAME=VALUE")
        if found.setdefault(name, value) != value:
            raise click.BadParameter(f"no cluster has two values of one label: {name}={found[name]} and {label}")
    return found


def parse_answers(given: tuple[str, ...]) -> dict[str, str]:
    """By their steps. Raises click.BadParameter."""
    from runbook.changes import ANSWERS

    answers: dict[str, str] = {}
    for answer in given:
        step, _, word = answer.rpartition("=")
        if not step or word not in ANSWERS:
            raise click.BadParameter(f"{answer} is not an answer; write --answer STEP={'|'.join(ANSWERS)}")
        if answers.setdefault(step, word) != word:
            raise click.BadParameter(f"{step} is answered with {answers[step]} and with {word}")
    return answers
