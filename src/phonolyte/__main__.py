"""``python -m phonolyte``."""

from phonolyte.cli import main

if __name__ == "__main__":  # spawned processes import this module, too
    main()
