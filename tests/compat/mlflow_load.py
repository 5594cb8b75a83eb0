"""Loads a registered model by the stock client; prints its predictions as JSON."""

from __future__ import annotations

import json
import sys

import mlflow
import numpy as np

if __name__ == "__main__":
    mlflow.set_tracking_uri(sys.argv[1])
    model = mlflow.pyfunc.load_model("models:/flights@first")
    print(json.dumps({"predictions": [int(one) for one in model.predict(np.array([[-9.0], [9.0]]))]}))
