"""The errors that a user can act on, and the exit code that each becomes."""


class UserError(Exception):
    """Something of the user's cannot be used. The message says where, what was found, what is allowed and what to do."""

    exit_code = 2


class RunError(UserError):
    """A run failed or cannot be found."""

    exit_code = 1


_TFX = "install the package with its extra: pip install 'tfx-retail[tfx]'"
EXTRA_HINT = dict.fromkeys(("tensorflow", "tfx", "apache_beam", "ml_metadata", "keras", "tensorflow_model_analysis"), _TFX)
