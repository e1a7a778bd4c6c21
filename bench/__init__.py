"""The benchmark: `python -m bench` measures the engine against bare baselines and says whether each goal is met.

Real servers, started for it on local sockets with every fsync on; two real Celery workers. A figure compares two
numbers of one run: ours and the baseline's are measured by turns on the same servers, and medians decide. So the
ratios mean something on any machine; the absolute numbers only on yours.
"""
