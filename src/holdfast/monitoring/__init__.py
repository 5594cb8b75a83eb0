"""Monitoring: is a model doing well, and since when not?

Predictions and their truth are folded into daily (or 5-minute) buckets, which add up to windows of any size. A
sequential test on the realised error raises alerts with a stated rate of false alarms; drift of the inputs never
raises one, it explains. Not here: the endpoint record, the prediction log and labels (`predictions`), pages
(`overview`).
"""
