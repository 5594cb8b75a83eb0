"""The program that loads a model and runs it, inside the model's own environment and a sandbox.

It is run by path (`python -I program/__main__.py prepare|serve ...`), needs the standard library, numpy and what
the model needs, and imports nothing of holdfast: the server talks to it through files and pipes.
"""
