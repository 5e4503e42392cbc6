"""The step ``disk.free``: is there room left on this host?"""

import shutil

from runbook.extension import Effect, ErrorKind, ExtensionContext, Field, StepDeclaration, StepError, StepResult

DECLARATION = StepDeclaration(
    "disk.free",
    "Say how much room a file system of this host has left, and fail where it is too little.",
    Effect.READ,  # it changes nothing, so no agreement is asked for, and --dry-run --run-reads does it too
    parameters=(
        Field("path", "path", "any path on the file system", required=True),
        Field("at_least", "float", "how much of it must be free, in percent", default=5.0, min=0, max=100),
    ),
    results=(
        Field("bytes", "int", "how much is free"),
        Field("percent", "float", "how much of the whole that is"),
    ),
    observe="It changes nothing.",
    shadow="With --run-reads it looks as in a real run.",
    example="""\
- id: disk
  uses: disk.free
  with: { path: /, at_least: 10 }
""",
)


def run(_context: ExtensionContext, arguments: dict) -> StepResult:
    """Say how much is free, or raise a StepError. What ``retry.only_on`` names is the error's class."""
    try:
        usage = shutil.disk_usage(arguments["path"])
    except OSError as error:
        raise StepError(
            ErrorKind.UNEXPECTED, f"{arguments['path']}: {error.strerror}", "Name a path of this host"
        ) from None
    percent = 100 * usage.free / usage.total
    if percent < arguments["at_least"]:
        what = f"only {percent:.1f} % of {arguments['path']} is free, and {arguments['at_least']:g} % is needed"
        raise StepError(ErrorKind.UNEXPECTED, what, "Make room first")
    message = f"{percent:.1f} % of {arguments['path']} is free"
    return StepResult(message, {"bytes": usage.free, "percent": percent})
