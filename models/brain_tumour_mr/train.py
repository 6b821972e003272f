"""Train the brain tumour network: `python -m models.brain_tumour_mr.train --data $AINODE_DATA --out DIR`."""

from models.brain_tumour_mr.task import TASK
from models.kit.training.loop import main

if __name__ == "__main__":
    main(TASK)
