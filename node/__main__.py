"""``python -m node`` and the console script ``ainode``."""

from node.admin.cli.root import main

if __name__ == "__main__":
    main()
