"""The error of a mistake that the user can mend."""


class UserError(Exception):
    """Says in one line what is wrong, the value received and how to mend it; `cli.run` prints it."""
