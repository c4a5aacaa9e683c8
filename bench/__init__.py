"""Benchmarks: every figure beside a floor measured in the same run, and the ratio of the two.

A figure alone says more about the machine than about the program. A floor is the same work
done by hand with as little as will do it; rounds of both alternate, so that whatever else the
machine is doing hits both.
"""
