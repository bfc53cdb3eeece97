"""`python -m keras_ff_cli` is `keras-ff`."""

import sys

from keras_ff_cli import main

sys.exit(main())
