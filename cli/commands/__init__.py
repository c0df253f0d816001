"""The commands by topic: their arguments and help. What they do stands beside this package.

Nothing heavy is imported before a command runs, so that `version` and `--help` answer at once.
"""
