"""`python pipeline.py CONFIG` is `tfx-retail run CONFIG`. The pipeline itself is defined in tfx_retail/pipeline.py."""

import sys

from tfx_retail.cli import main

if __name__ == "__main__":
    sys.argv.insert(1, "run")
    main()
