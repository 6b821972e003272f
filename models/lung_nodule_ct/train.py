"""Train the nodule network: `python -m models.lung_nodule_ct.train --data $AINODE_DATA --out DIR`."""

from models.kit.training.loop import main
from models.lung_nodule_ct.task import TRAINED

if __name__ == "__main__":
    main(TRAINED)
