"""Train the chest X-ray network: `python -m models.chest_xray_pneumonia.train --data $AINODE_DATA --out DIR`."""

from models.chest_xray_pneumonia.task import TASK
from models.kit.training.loop import main

if __name__ == "__main__":
    main(TASK)
