"""Taking over from MLflow: what its stores hold, read without its code, written through this server's interface.

`records` are the nouns, `sql`, `rest` and `folder` read them, `files` reads artifacts, `copying` writes, `report` compares.
"""
