"""MLflow's REST protocol over our services, so that its clients need no change: see `docs/reference/mlflow.md`."""
