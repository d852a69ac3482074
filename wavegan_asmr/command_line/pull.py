"""`wavegan pull`."""

from wavegan_asmr.errors import UserError

USAGE = """Fetches what was pushed into FOLDER, verified, whole or not there; again: what is new.
What breaks off goes on with the same command.

    wavegan pull https://example.org/rain ./rain
    wavegan pull s3://bucket/runs ./runs            needs pip install 'wavegan[s3]'
    wavegan pull gs://bucket/runs ./runs            needs pip install 'wavegan[gs]'
    wavegan pull hf://USER/MODEL ./model            needs pip install 'wavegan[hf]'
"""

SETTINGS = ()


def main(arguments, flags):
    if len(arguments) != 2 or not all(arguments):
        raise UserError(f"pull takes URL FOLDER. Received: {' '.join(arguments)!r}.")
    from wavegan_asmr.exchange.pull import pull

    pull(*arguments)
