"""A year of real flights, lived in minutes: what a user does with holdfast, told by a program that uses the
client.

`flights` prepares the data, `train` is the tracked training script, `story` tells the rest: deploy, predict
week by week, deliver the true delays, watch the monitor. Not here: anything that a user could not do.
"""
