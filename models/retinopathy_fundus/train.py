"""Train the fundus network: `python -m models.retinopathy_fundus.train --data $AINODE_DATA --out DIR`.

With `--control` as the first argument the network of the model card's control, on photographs without their source.
"""

import sys

from models.kit.training.loop import main
from models.retinopathy_fundus.task import CONTROL, TASK

if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--control"]:
        main(CONTROL, arguments[1:])
    else:
        main(TASK, arguments)
