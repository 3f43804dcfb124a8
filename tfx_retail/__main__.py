"""`python -m tfx_retail` is the command `tfx-retail`."""

from tfx_retail.cli import main

if __name__ == "__main__":
    main()
