"""What a lab says when it cannot do what it was asked."""


class LabError(Exception):
    """The text says what, where and what to do about it; it is meant for the operator as it stands."""
