"""Corrections of accepted events: what they are, how they are asked for, how they are stored.

An event is never edited. A correction goes through Kafka like an event, to the partition of the
event it corrects, and becomes the event's next version there: the order of the log is the order
of the versions, whoever asked at the same time.
"""
