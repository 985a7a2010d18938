"""hforch: which model x backend x precision x prompt should run on this machine?"""

__version__ = "0.1.0"
