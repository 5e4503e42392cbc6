"""``python -m runbook`` and the command ``runbook``."""


def main() -> None:
    """Start the command line, as fast as it can be: at 3 a.m. start-up is felt."""
    import gc

    gc.disable()  # all that is imported stays, so to look through it for garbage time and again is for nothing
    from runbook.cli.main import main as command_line

    gc.freeze()
    gc.enable()
    command_line()


if __name__ == "__main__":
    main()
