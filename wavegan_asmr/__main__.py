"""`python -m wavegan_asmr VERB ...`, the same as `wavegan VERB ...`."""

from wavegan_asmr.command_line.main import main

main()
