"""The only package that imports or patches private parts of Hydra and OmegaConf.

`tests/config/test_hydra_contract.py` lists each part with its reason and tests its behavior: an incompatible version of
Hydra fails there first.
"""
